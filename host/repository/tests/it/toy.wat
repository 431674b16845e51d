;; A model that answers `VALUE` for each row, after it has done `BEHAVIOUR`, and says what it is after `DESCRIBE`; `toy.rs` puts something in
;; their place.
;;
;;   0x100    what it says of itself: x: f32[N, 1] to y: f32[N, 1], by N
;;   0x800    the result of `predict`
;;   0x10000  inputs
;;   0x200000 outputs
(module
  (memory (export "memory") 64)
  (global $free (mut i32) (i32.const 0x10000))

  ;; description: name, version, inputs, outputs, batch-symbol, metadata
  (data (i32.const 0x100)
    (i32 0x1a0 3  0x1a3 1  0x140 1  0x160 1  1 0x1a6 1  0 0))
  ;; tensor-spec: name, datum-type, dims
  (data (i32.const 0x140) (i32 0x1a4 1  F32  0x180 2))
  (data (i32.const 0x160) (i32 0x1a5 1  F32  0x180 2))
  ;; dim: symbol, fixed
  (data (i32.const 0x180) (i32 1 0x1a6 1  0 1 0))
  (data (i32.const 0x1a0) "toy" "1" "x" "y" "N")
  ;; result: ok, a list of one
  (data (i32.const 0x800) (i32 0 0x820 1))
  ;; named-tensor: name, datum-type, dims, data
  (data (i32.const 0x820) (i32 0x1a5 1  F32  0x840 2  0x200000 0))

  (func (export "tensorlet:model/predict@0.1.0#describe") (result i32)
    DESCRIBE
    i32.const 0x100)

  (func (export "tensorlet:model/predict@0.1.0#predict") (param $inputs i32) (param i32) (result i32)
    (local $rows i32)
    (local $row i32)
    (local $i i64)
    (global.set $free (i32.const 0x10000))
    (local.set $rows (i32.load (i32.load offset=12 (local.get $inputs))))
    (i32.store (i32.const 0x840) (local.get $rows))
    (i32.store (i32.const 0x844) (i32.const 1))
    (i32.store (i32.const 0x838) (i32.mul (local.get $rows) (i32.const 4)))
    (block $end
      (loop $next
        (br_if $end (i32.ge_u (local.get $row) (local.get $rows)))
        (f32.store offset=0x200000 (i32.mul (local.get $row) (i32.const 4)) (f32.const VALUE))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $next)))
    BEHAVIOUR
    i32.const 0x800)

  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $len i32) (result i32)
    (local $begin i32)
    (local.set $begin
      (i32.and (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $begin) (local.get $len)))
    (local.get $begin)))
