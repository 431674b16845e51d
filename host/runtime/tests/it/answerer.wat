;; An answerer that does what the first byte of the file says. `p` predicts with no inputs, and answers why that failed, or nothing.
(module
  (import "tensorlet:model/predict@0.1.0" "predict" (func $predict (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))
  (data (i32.const 512) "a word")
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $len i32) (result i32)
    (local $place i32)
    (local.set $place (i32.and
      (i32.sub (i32.add (global.get $next) (local.get $align)) (i32.const 1))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $place) (local.get $len)))
    (local.get $place))
  ;; result<verdict, answer-error> at 64: whether it is an error, the case at 68, what it holds from 72 on.
  (func (export "tensorlet:model/answer@0.1.0#answer") (param $file i32) (param $len i32) (result i32)
    (local $does i32)
    (local.set $does (i32.load8_u (local.get $file)))
    (if (i32.eq (local.get $does) (i32.const 108 (; l ;))) (then (loop $spin (br $spin))))
    (if (i32.eq (local.get $does) (i32.const 116 (; t ;))) (then unreachable))
    (if (i32.eq (local.get $does) (i32.const 103 (; g ;))) (then
      (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
      unreachable))
    (if (i32.eq (local.get $does) (i32.const 105 (; i ;))) (then
      (i32.store8 (i32.const 64) (i32.const 1))
      (i32.store (i32.const 72) (i32.const 512)) (i32.store (i32.const 76) (i32.const 6))
      (i32.store (i32.const 80) (i32.const 512)) (i32.store (i32.const 84) (i32.const 1))))
    (if (i32.eq (local.get $does) (i32.const 117 (; u ;))) (then
      (i32.store8 (i32.const 64) (i32.const 1))
      (i32.store8 (i32.const 68) (i32.const 2))))
    (if (i32.eq (local.get $does) (i32.const 112 (; p ;))) (then
      (call $predict (i32.const 0) (i32.const 0) (i32.const 128))
      (if (i32.load8_u (i32.const 128)) (then
        (i32.store8 (i32.const 64) (i32.const 1))
        (i32.store8 (i32.const 68) (i32.const 1))
        (i32.store (i32.const 72) (i32.load (i32.const 136)))
        (i32.store (i32.const 76) (i32.load (i32.const 140)))))))
    (i32.const 64)))
