;; A guest that does what the first letter of an event's type says. Its state is a number.
;;
;; In both functions: t traps, s spins, e returns an error, m takes memory until there is none and traps, q prints, z sleeps for an hour,
;; x exits. In reduce: j returns what is not JSON, h a state of 5 MiB, o calls the outbox, w traps on a warm instance,
;; g grows by 1 MiB for good, r adds what clocks and randomness say. In after-append: p puts {"state":…} in the outbox, d appends it at once,
;; b proposes a built-in event of the host's, c uploads a component, n proposes bad JSON, k a path above the root, l appends until
;; it is refused, G grows by 1 MiB for good and traps where it cannot, D appends at once and then does as G. Every other letter adds: the state becomes (state * 31 + offset + length of payload) mod 1000000007.
(module
  (import "pelton:processor/outbox@0.1.0" "append" (func $outbox
    (param i32 i32 i32  i32 i32  i32 i32  i32 i32 i32  i32 i32 i32  i32 i64  i32)))
  (import "pelton:processor/appender@0.1.0" "append" (func $appender
    (param i32 i32 i32  i32 i32  i32 i32  i32 i32 i32  i32 i32 i32  i32 i64  i32)))
  (import "pelton:processor/context@0.1.0" "log" (func $log (param i32 i32 i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))
  (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop_pollable (param i32)))
  (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
  (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
  (import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush" (func $print (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop_stream (param i32)))

  (memory (export "memory") 4)
  (global $heap (mut i32) (i32.const 65536))
  (global $calls (mut i32) (i32.const 0))

  (data (i32.const 1024) "no\0ahello from the guest\0a")
  (data (i32.const 1100) "{\"name\":\"guest\",\"initialState\":0}")
  (data (i32.const 1200) "pong")
  (data (i32.const 1210) "stream/initialized")
  (data (i32.const 1240) "../../..")
  (data (i32.const 1300) "{\"state\":")
  (data (i32.const 1400) "stream/processor/configured")
  (data (i32.const 1440) "{\"slug\":\"a\",\"component\":\"AGFzbQ0AAQA=\"}")

  (func (export "cabi_realloc") (param $old i32) (param $old_len i32) (param $align i32) (param $len i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get $len)))
    (block $done (loop $more
      (br_if $done (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
      (br $more)))
    (memory.copy (local.get $at) (local.get $old) (local.get $old_len))
    (local.get $at))

  (func $reset (global.set $heap (i32.const 65536)))
  (func (export "cabi_post_pelton:processor/processor@0.1.0#reduce") (param i32) (call $reset))
  (func (export "cabi_post_pelton:processor/processor@0.1.0#after-append") (param i32) (call $reset))

  (func (export "pelton:processor/processor@0.1.0#describe") (result i32)
    (i32.store (i32.const 16) (i32.const 1100))
    (i32.store (i32.const 20) (i32.const 33))
    (i32.const 16))

  ;; The result at 32: the case, then a text.
  (func $result (param $case i32) (param $at i32) (param $len i32) (result i32)
    (i32.store8 (i32.const 32) (local.get $case))
    (i32.store (i32.const 36) (local.get $at))
    (i32.store (i32.const 40) (local.get $len))
    (i32.const 32))

  (func $parse (param $at i32) (param $len i32) (result i64)
    (local $value i64) (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $len)))
    (block $done (loop $more
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $value (i64.add (i64.mul (local.get $value) (i64.const 10))
        (i64.sub (i64.load8_u (local.get $at)) (i64.const 48))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $more)))
    (local.get $value))

  ;; Writes the digits so that they end at 128 and returns where they begin.
  (func $format (param $value i64) (result i32)
    (local $at i32)
    (local.set $at (i32.const 128))
    (loop $more
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
      (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
      (br_if $more (i64.ne (local.get $value) (i64.const 0))))
    (local.get $at))

  (func $sleep
    (local $pollable i32)
    (local.set $pollable (call $subscribe (i64.const 3600000000000)))
    (call $block (local.get $pollable))
    (call $drop_pollable (local.get $pollable)))

  (func $hello
    (local $stream i32)
    (call $log (i32.const 1) (i32.const 1027) (i32.const 20))
    (local.set $stream (call $stdout))
    (call $print (local.get $stream) (i32.const 1027) (i32.const 21) (i32.const 200))
    (call $drop_stream (local.get $stream)))

  (func $take_all_memory
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    unreachable)

  ;; What the letter asks for in both functions.
  (func $common (param $letter i32)
    (if (i32.eq (local.get $letter) (i32.const 116)) (then unreachable))
    (if (i32.eq (local.get $letter) (i32.const 115)) (then (loop $forever (br $forever))))
    (if (i32.eq (local.get $letter) (i32.const 109)) (then (call $take_all_memory)))
    (if (i32.eq (local.get $letter) (i32.const 113)) (then (call $hello)))
    (if (i32.eq (local.get $letter) (i32.const 120)) (then (call $exit (i32.const 1))))
    (if (i32.eq (local.get $letter) (i32.const 122)) (then (call $sleep))))

  (func (export "pelton:processor/processor@0.1.0#reduce")
    (param $state_at i32) (param $state_len i32) (param $event i32) (param $count i32) (result i32)
    (local $state i64) (local $letter i32)
    (local.set $state (call $parse (local.get $state_at) (local.get $state_len)))
    (block $done (loop $more
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $letter (i32.load8_u (i32.load offset=16 (local.get $event))))
      (call $common (local.get $letter))
      (if (i32.eq (local.get $letter) (i32.const 101)) (then
        (return (call $result (i32.const 1) (i32.const 1024) (i32.const 2)))))
      (if (i32.eq (local.get $letter) (i32.const 106)) (then
        (return (call $result (i32.const 0) (i32.const 1024) (i32.const 2)))))
      (if (i32.eq (local.get $letter) (i32.const 104)) (then
        (if (i32.eq (memory.grow (i32.const 81)) (i32.const -1)) (then unreachable))
        (memory.fill (i32.const 200000) (i32.const 49) (i32.const 5242880))
        (return (call $result (i32.const 0) (i32.const 200000) (i32.const 5242880)))))
      (if (i32.eq (local.get $letter) (i32.const 111)) (then (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1200) (i32.const 4) (i32.const 1100) (i32.const 33))))
      (if (i32.eq (local.get $letter) (i32.const 119)) (then
        (if (i32.gt_u (global.get $calls) (i32.const 0)) (then unreachable))))
      (if (i32.eq (local.get $letter) (i32.const 103)) (then (drop (memory.grow (i32.const 16)))))
      (if (i32.eq (local.get $letter) (i32.const 114)) (then
        (local.set $state (i64.add (local.get $state) (i64.and (i64.const 0xffffff) (i64.add (call $now) (call $random)))))))
      (local.set $state (i64.rem_u
        (i64.add (i64.mul (local.get $state) (i64.const 31))
          (i64.add (i64.load offset=8 (local.get $event)) (i64.extend_i32_u (i32.load offset=28 (local.get $event)))))
        (i64.const 1000000007)))
      (local.set $event (i32.add (local.get $event) (i32.const 112)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $more)))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (local.set $letter (call $format (local.get $state)))
    (call $result (i32.const 0) (local.get $letter) (i32.sub (i32.const 128) (local.get $letter))))

  ;; Appends through the outbox, or at once. The answer is at 256.
  (func $propose (param $at_once i32) (param $to_at i32) (param $to_len i32)
    (param $type_at i32) (param $type_len i32) (param $payload_at i32) (param $payload_len i32)
    (if (local.get $at_once)
      (then (call $appender
        (i32.ne (local.get $to_len) (i32.const 0)) (local.get $to_at) (local.get $to_len)
        (local.get $type_at) (local.get $type_len) (local.get $payload_at) (local.get $payload_len)
        (i32.const 0) (i32.const 0) (i32.const 0)  (i32.const 0) (i32.const 0) (i32.const 0)  (i32.const 0) (i64.const 0)  (i32.const 256)))
      (else (call $outbox
        (i32.ne (local.get $to_len) (i32.const 0)) (local.get $to_at) (local.get $to_len)
        (local.get $type_at) (local.get $type_len) (local.get $payload_at) (local.get $payload_len)
        (i32.const 0) (i32.const 0) (i32.const 0)  (i32.const 0) (i32.const 0) (i32.const 0)  (i32.const 0) (i64.const 0)  (i32.const 256)))))

  ;; {"state":…} at 1300, its length as the result.
  (func $payload (param $state_at i32) (param $state_len i32) (result i32)
    (memory.copy (i32.const 1309) (local.get $state_at) (local.get $state_len))
    (i32.store8 (i32.add (i32.const 1309) (local.get $state_len)) (i32.const 125))
    (i32.add (local.get $state_len) (i32.const 10)))

  (func (export "pelton:processor/processor@0.1.0#after-append") (param $args i32) (result i32)
    (local $letter i32) (local $len i32)
    (local.set $letter (i32.load8_u (i32.load offset=16 (local.get $args))))
    (call $common (local.get $letter))
    (local.set $len (call $payload (i32.load offset=112 (local.get $args)) (i32.load offset=116 (local.get $args))))
    (if (i32.eq (local.get $letter) (i32.const 101)) (then
      (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1200) (i32.const 4) (i32.const 1300) (local.get $len))
      (return (call $result (i32.const 1) (i32.const 1024) (i32.const 2)))))
    (if (i32.eq (local.get $letter) (i32.const 112)) (then
      (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1200) (i32.const 4) (i32.const 1300) (local.get $len))))
    (if (i32.eq (local.get $letter) (i32.const 98)) (then
      (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1210) (i32.const 18) (i32.const 1300) (local.get $len))))
    (if (i32.eq (local.get $letter) (i32.const 99)) (then
      (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1400) (i32.const 27) (i32.const 1440) (i32.const 39))))
    (if (i32.eq (local.get $letter) (i32.const 110)) (then
      (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1200) (i32.const 4) (i32.const 1300) (i32.const 5))))
    (if (i32.eq (local.get $letter) (i32.const 107)) (then
      (call $propose (i32.const 0) (i32.const 1240) (i32.const 8) (i32.const 1200) (i32.const 4) (i32.const 1300) (local.get $len))))
    (if (i32.eq (local.get $letter) (i32.const 68)) (then
      (call $propose (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1200) (i32.const 4) (i32.const 1300) (local.get $len))))
    (if (i32.or (i32.eq (local.get $letter) (i32.const 68)) (i32.eq (local.get $letter) (i32.const 71))) (then
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))))
    (if (i32.eq (local.get $letter) (i32.const 108)) (then
      (loop $more
        (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1200) (i32.const 4) (i32.const 1300) (local.get $len))
        (br_if $more (i32.eqz (i32.load8_u (i32.const 256)))))))
    ;; An append at once answers with the event, which goes into the outbox once more, to show that it arrived.
    (if (i32.eq (local.get $letter) (i32.const 100)) (then
      (call $propose (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1200) (i32.const 4) (i32.const 1300) (local.get $len))
      (if (i32.load8_u (i32.const 256)) (then
        (return (call $result (i32.const 1) (i32.load (i32.const 268)) (i32.load (i32.const 272))))))
      (call $propose (i32.const 0) (i32.const 0) (i32.const 0) (i32.load (i32.const 280)) (i32.load (i32.const 284))
        (i32.load (i32.const 288)) (i32.load (i32.const 292)))))
    (if (i32.load8_u (i32.const 256)) (then
      (i32.store8 (i32.const 256) (i32.const 0))
      (return (call $result (i32.const 1) (i32.load (i32.const 264)) (i32.load (i32.const 268))))))
    (call $result (i32.const 0) (i32.const 0) (i32.const 0)))
)
