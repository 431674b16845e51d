;; The implementation of `tensorlet:model/offload` in components as `tensorlet build` makes them: it declines everything, so that a predictor
;; computes by itself on a host that does not take it out and links an accelerator in place of this.
(module
  ;; The canonical ABI wants a memory to read lists from. Nobody passes one: `find` says that there is no point.
  (memory (export "memory") 0)
  (func (export "tensorlet:model/offload@0.1.0#find") (param $segment i32) (result i32)
    i32.const 2 (; availability.declined ;))
  (func (export "tensorlet:model/offload@0.1.0#load") (param i32 i32 i32 i32 i32) (result i32)
    unreachable)
  (func (export "tensorlet:model/offload@0.1.0#run") (param i32 i32 i32 i32 i32) (result i32)
    unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    unreachable))
