;; A component without a will of its own: `predict` does what its input says, a script of 32-bit words, and returns what it saw. `puppet.rs` writes
;; the scripts.
;;
;;   0x100    what it says of itself
;;   0x400    where the host writes results, unless a script says otherwise
;;   0x800    the result of `predict`
;;   0x1000   answers
;;   0x10000  what the host passes, and what it is given without a place
;;   0x200000 free for scripts
(module
  (import "tensorlet:model/offload@0.1.0" "find" (func $find (param i32) (result i32)))
  (import "tensorlet:model/offload@0.1.0" "load" (func $load (param i32 i32 i32 i32 i32 i32)))
  (import "tensorlet:model/offload@0.1.0" "run" (func $run (param i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 64)

  ;; Where the next allocation begins.
  (global $free (mut i32) (i32.const 0x10000))
  ;; Addresses that the next results go to, and how many there are.
  (global $places (mut i32) (i32.const 0))
  (global $places_len (mut i32) (i32.const 0))
  ;; Where the host writes results.
  (global $result (mut i32) (i32.const 0x400))
  ;; Where the next answer goes.
  (global $answer (mut i32) (i32.const 0x1000))
  ;; The script's beginning, and how often it was repeated.
  (global $script (mut i32) (i32.const 0))
  (global $rounds (mut i32) (i32.const 0))

  ;; description: name, version, inputs, outputs, batch-symbol, metadata
  (data (i32.const 0x100)
    (i32 0x1a0 6  0x1a6 1  0x140 1  0x160 1  0 0 0  0 0))
  ;; tensor-spec: name, datum-type, dims
  (data (i32.const 0x140) (i32 0x1a7 6  1  0x180 1))
  (data (i32.const 0x160) (i32 0x1ad 7  1  0x190 1))
  ;; dim: symbol
  (data (i32.const 0x180) (i32 1 0x1b4 1))
  (data (i32.const 0x190) (i32 1 0x1b5 1))
  (data (i32.const 0x1a0) "puppet" "1" "script" "answers" "S" "A")
  ;; result: ok, a list of one
  (data (i32.const 0x800) (i32 0 0x820 1))
  ;; named-tensor: name, datum-type, dims, data
  (data (i32.const 0x820) (i32 0x1ad 7  1  0x840 1  0x1000 0))

  (func (export "tensorlet:model/predict@0.1.0#describe") (result i32)
    i32.const 0x100)

  (func (export "tensorlet:model/predict@0.1.0#predict") (param $inputs i32) (param i32) (result i32)
    (local $at i32) (local $end i32)
    (global.set $answer (i32.const 0x1000))
    (global.set $result (i32.const 0x400))
    (global.set $places_len (i32.const 0))
    (global.set $rounds (i32.const 0))
    (global.set $script (local.tee $at (i32.load offset=20 (local.get $inputs))))
    (local.set $end (i32.add (local.get $at) (i32.load offset=24 (local.get $inputs))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $at (call $step (local.get $at)))
        (br $next)))
    (i32.store (i32.const 0x840) (i32.sub (global.get $answer) (i32.const 0x1000)))
    (i32.store (i32.const 0x838) (i32.load (i32.const 0x840)))
    (global.set $free (i32.const 0x10000))
    i32.const 0x800)

  ;; Does one thing; returns where the next begins.
  (func $step (param $at i32) (result i32)
    (block $return (block $fill (block $trap (block $spin (block $repeat (block $grow (block $peek (block $places
    (block $run (block $load (block $find (block $poke
      (br_table $poke $find $load $run $places $peek $grow $repeat $spin $trap $fill $return
        (call $word (local.get $at) (i32.const 0))))
      ;; poke: to, length, bytes
      (memory.copy (call $word (local.get $at) (i32.const 1))
        (i32.add (local.get $at) (i32.const 12))
        (call $word (local.get $at) (i32.const 2)))
      (return (i32.add (i32.add (local.get $at) (i32.const 12)) (call $word (local.get $at) (i32.const 2)))))
      ;; find: segment
      (call $say (call $find (call $word (local.get $at) (i32.const 1))))
      (return (i32.add (local.get $at) (i32.const 8))))
      ;; load: segment, plan, its length, constants, their length
      (call $load
        (call $word (local.get $at) (i32.const 1)) (call $word (local.get $at) (i32.const 2))
        (call $word (local.get $at) (i32.const 3)) (call $word (local.get $at) (i32.const 4))
        (call $word (local.get $at) (i32.const 5)) (global.get $result))
      (call $say (i32.load8_u (global.get $result)))
      (call $say (i32.load8_u offset=1 (global.get $result)))
      (return (i32.add (local.get $at) (i32.const 24))))
      ;; run: segment, sizes, how many, inputs, how many
      (call $run
        (call $word (local.get $at) (i32.const 1)) (call $word (local.get $at) (i32.const 2))
        (call $word (local.get $at) (i32.const 3)) (call $word (local.get $at) (i32.const 4))
        (call $word (local.get $at) (i32.const 5)) (global.get $result))
      (call $say (i32.load8_u (global.get $result)))
      (call $say (i32.load offset=4 (global.get $result)))
      (call $say (i32.load offset=8 (global.get $result)))
      (return (i32.add (local.get $at) (i32.const 24))))
      ;; places: how many, addresses
      (global.set $places_len (call $word (local.get $at) (i32.const 1)))
      (global.set $places (i32.add (local.get $at) (i32.const 8)))
      (return (i32.add (global.get $places) (i32.mul (global.get $places_len) (i32.const 4)))))
      ;; peek: from, length
      (memory.copy (global.get $answer)
        (call $word (local.get $at) (i32.const 1)) (call $word (local.get $at) (i32.const 2)))
      (global.set $answer (i32.add (global.get $answer) (call $word (local.get $at) (i32.const 2))))
      (return (i32.add (local.get $at) (i32.const 12))))
      ;; grow: pages
      (call $say (memory.grow (call $word (local.get $at) (i32.const 1))))
      (return (i32.add (local.get $at) (i32.const 8))))
      ;; repeat: how often the script runs in all
      (global.set $rounds (i32.add (global.get $rounds) (i32.const 1)))
      (if (i32.lt_u (global.get $rounds) (call $word (local.get $at) (i32.const 1)))
        (then
          (global.set $answer (i32.const 0x1000))
          (return (global.get $script))))
      (return (i32.add (local.get $at) (i32.const 8))))
      (call $spin))
      unreachable)
      ;; fill: to, byte, length
      (memory.fill (call $word (local.get $at) (i32.const 1))
        (call $word (local.get $at) (i32.const 2)) (call $word (local.get $at) (i32.const 3)))
      (return (i32.add (local.get $at) (i32.const 16))))
    ;; return-to: where the host is to write results
    (global.set $result (call $word (local.get $at) (i32.const 1)))
    (i32.add (local.get $at) (i32.const 8)))

  (func $word (param $at i32) (param $index i32) (result i32)
    (i32.load (i32.add (local.get $at) (i32.mul (local.get $index) (i32.const 4)))))

  (func $say (param i32)
    (i32.store (global.get $answer) (local.get 0))
    (global.set $answer (i32.add (global.get $answer) (i32.const 4))))

  (func $spin
    (loop $for_ever (br $for_ever)))

  (func $allocate (export "cabi_realloc") (param i32 i32) (param $align i32) (param $len i32) (result i32)
    (local $begin i32)
    (local.set $begin
      (i32.and (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $begin) (local.get $len)))
    (local.get $begin))

  ;; Gives the next of the places, of which 0xffffffff is a trap and 0xfffffffe takes for ever; or any memory, when there is none left.
  (func (export "cabi_import_realloc") (param $old i32) (param $old_len i32) (param $align i32) (param $len i32) (result i32)
    (local $place i32)
    (if (i32.eqz (global.get $places_len))
      (then (return (call $allocate
        (local.get $old) (local.get $old_len) (local.get $align) (local.get $len)))))
    (local.set $place (i32.load (global.get $places)))
    (global.set $places (i32.add (global.get $places) (i32.const 4)))
    (global.set $places_len (i32.sub (global.get $places_len) (i32.const 1)))
    (if (i32.eq (local.get $place) (i32.const -1)) (then unreachable))
    (if (i32.eq (local.get $place) (i32.const -2)) (then (call $spin)))
    (local.get $place)))
