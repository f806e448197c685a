;; What stands for `wasi_snapshot_preview1` in a processor's component: Go's compiler and C's library import it, a component cannot.
;;
;; Clocks, sleeping and randomness are the host's, of WASI 0.2, so that it stays with the host what they are: constants in `reduce`, real in
;; `after-append`. What is written to standard output or standard error becomes lines of the host's log. There are no files, no sockets, no
;; arguments, and no environment; an SDK reads the last where its language wants it.
;;
;; While the guest allocates what the host hands over (`cabi_realloc`), the component model allows no calls to the host. Go's garbage collector may run in
;; just that moment and ask what time it is. Its bindings say when (`adapter_monotonic_clock_set_paused`), and get the time that was read last.
(module
  (import "env" "memory" (memory 0))
  (import "wasi:clocks/monotonic-clock@0.2.12" "now" (func $monotonic_now (result i64)))
  (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $subscribe_duration (param i64) (result i32)))
  (import "wasi:clocks/wall-clock@0.2.12" "now" (func $wall_now (param i32)))
  (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.12" "[resource-drop]pollable" (func $drop_pollable (param i32)))
  (import "wasi:random/random@0.2.12" "get-random-u64" (func $random_u64 (result i64)))
  (import "pelton:processor/context@0.1.0" "log" (func $log (param i32 i32 i32)))

  ;; The guest's memory for this module: 16 bytes for an answer of the host, the rest for a line that is not yet complete.
  (global $scratch (mut i32) (i32.const 0))
  (global $line_max (mut i32) (i32.const 0))
  (global $line_size (mut i32) (i32.const 0))
  ;; Which of the two, 1 or 2, the line was written to.
  (global $line_fd (mut i32) (i32.const 1))
  (global $paused (mut i32) (i32.const 0))
  (global $monotonic (mut i64) (i64.const 0))
  (global $wall (mut i64) (i64.const 0))

  ;; Not of preview 1: the SDKs call these.
  (func (export "pelton_scratch") (param $start i32) (param $size i32)
    (global.set $scratch (local.get $start))
    (global.set $line_max (i32.sub (local.get $size) (i32.const 16))))
  (func $flush (export "pelton_flush")
    (if (i32.eqz (global.get $line_size)) (then (return)))
    ;; Standard output is `info`, standard error `warn`.
    (call $log (global.get $line_fd) (i32.add (global.get $scratch) (i32.const 16)) (global.get $line_size))
    (global.set $line_size (i32.const 0)))

  (func (export "adapter_monotonic_clock_set_paused") (param $paused i32)
    (global.set $paused (local.get $paused)))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $out i32) (result i32)
    (if (i32.and (i32.eqz (local.get $clock)) (i32.ne (global.get $scratch) (i32.const 0)))
      (then
        (if (i32.eqz (global.get $paused)) (then (call $read_wall)))
        (i64.store (local.get $out) (global.get $wall)))
      (else
        (if (i32.eqz (global.get $paused)) (then (global.set $monotonic (call $monotonic_now))))
        (i64.store (local.get $out) (global.get $monotonic))))
    (i32.const 0))
  (func $read_wall
    (call $wall_now (global.get $scratch))
    (global.set $wall
      (i64.add
        (i64.mul (i64.load (global.get $scratch)) (i64.const 1000000000))
        (i64.load32_u offset=8 (global.get $scratch)))))
  (func (export "clock_res_get") (param $clock i32) (param $out i32) (result i32)
    (i64.store (local.get $out) (i64.const 1000000)) (i32.const 0))

  (func (export "random_get") (param $to i32) (param $size i32) (result i32)
    (local $bytes i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $size)))
        (if (i64.eqz (local.get $bytes))
          (then (if (i32.eqz (global.get $paused)) (then (local.set $bytes (call $random_u64))))))
        (i64.store8 (local.get $to) (local.get $bytes))
        (local.set $bytes (i64.shr_u (local.get $bytes) (i64.const 8)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  (func (export "fd_write") (param $fd i32) (param $vectors i32) (param $count i32) (param $out i32) (result i32)
    (local $start i32) (local $size i32) (local $total i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (if (i32.ne (local.get $fd) (global.get $line_fd))
      (then
        (if (i32.eqz (global.get $paused)) (then (call $flush)))
        (global.set $line_fd (local.get $fd))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $start (i32.load (local.get $vectors)))
        (local.set $size (i32.load offset=4 (local.get $vectors)))
        (local.set $total (i32.add (local.get $total) (local.get $size)))
        (block $written
          (loop $byte
            (br_if $written (i32.eqz (local.get $size)))
            (call $put (i32.load8_u (local.get $start)))
            (local.set $start (i32.add (local.get $start) (i32.const 1)))
            (local.set $size (i32.sub (local.get $size) (i32.const 1)))
            (br $byte)))
        (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $out) (local.get $total))
    (i32.const 0))
  (func $put (param $byte i32)
    (if (i32.eq (local.get $byte) (i32.const 10))
      (then (if (i32.eqz (global.get $paused)) (then (call $flush))) (return)))
    ;; What does not fit goes on in a line of its own, from a character's first byte.
    (if (i32.and
          (i32.ge_s (i32.add (global.get $line_size) (i32.const 4)) (global.get $line_max))
          (i32.ne (i32.and (local.get $byte) (i32.const 0xc0)) (i32.const 0x80)))
      (then (if (i32.eqz (global.get $paused)) (then (call $flush)))))
    (if (i32.lt_s (global.get $line_size) (global.get $line_max))
      (then
        (i32.store8 offset=16 (i32.add (global.get $scratch) (global.get $line_size)) (local.get $byte))
        (global.set $line_size (i32.add (global.get $line_size) (i32.const 1))))))

  (func (export "proc_exit") (param $code i32)
    (call $flush)
    (unreachable))

  ;; Subscriptions to files are ready at once. Where all of them wait for a clock, this sleeps as long as the first of them wants; the guest asks
  ;; again for the others.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (local $first i32) (local $nearest i64) (local $delay i64) (local $at i32) (local $end i32)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
    (local.set $nearest (i64.const -1))
    (local.set $at (local.get $in))
    (local.set $end (i32.add (local.get $in) (i32.mul (local.get $count) (i32.const 48))))
    (loop $next
      (local.set $delay (call $delay_of (local.get $at)))
      (if (i64.lt_u (local.get $delay) (local.get $nearest))
        (then (local.set $nearest (local.get $delay)) (local.set $first (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 48)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    ;; A millisecond is what Go's runtime gives others to stop before it prints the stack of a fatal error. There are no others, and `reduce`, which
    ;; cannot sleep, would trap and never print it.
    (if (i32.and (i64.ne (local.get $nearest) (i64.const 0)) (i64.ne (local.get $nearest) (i64.const 1000000)))
      (then (if (i32.eqz (global.get $paused)) (then (call $sleep (local.get $nearest))))))
    (i64.store (local.get $out) (i64.load (local.get $first)))
    (i64.store offset=8 (local.get $out) (i64.const 0))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (i64.store offset=24 (local.get $out) (i64.const 0))
    (i32.store8 offset=10 (local.get $out) (i32.load8_u offset=8 (local.get $first)))
    (i32.store (local.get $events) (i32.const 1))
    (i32.const 0))
  ;; In nanoseconds. At 8 the kind, 0 for a clock; at 16 which, at 24 the time, at 40 whether that is absolute.
  (func $delay_of (param $at i32) (result i64)
    (local $time i64) (local $now i64)
    (if (i32.load8_u offset=8 (local.get $at)) (then (return (i64.const 0))))
    (local.set $time (i64.load offset=24 (local.get $at)))
    (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $at)) (i32.const 1))) (then (return (local.get $time))))
    (if (i32.eqz (i32.load offset=16 (local.get $at)))
      (then (if (global.get $scratch) (then (call $read_wall))) (local.set $now (global.get $wall)))
      (else (local.set $now (call $monotonic_now))))
    (if (i64.le_u (local.get $time) (local.get $now)) (then (return (i64.const 0))))
    (i64.sub (local.get $time) (local.get $now)))
  (func $sleep (param $nanoseconds i64)
    (local $pollable i32)
    (local.set $pollable (call $subscribe_duration (local.get $nanoseconds)))
    (call $block (local.get $pollable))
    (call $drop_pollable (local.get $pollable)))

  (func (export "args_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0)) (i32.store (local.get $size) (i32.const 0)) (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0)) (i32.store (local.get $size) (i32.const 0)) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; The three standard files are terminals, so that C writes them by the line.
  (func (export "fd_fdstat_get") (param $fd i32) (param $out i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $out) (i64.const 2))
    (i64.store offset=8 (local.get $out) (i64.const 64))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (i32.const 0))
  ;; Standard input is at its end.
  (func (export "fd_read") (param $fd i32) (param i32 i32) (param $out i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $out) (i32.const 0)) (i32.const 0))
  (func (export "fd_close") (param i32) (result i32) (i32.const 0))
  ;; 70 is "not a place one can seek in", 8 "no such file", 58 "not supported".
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 70))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 70))
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "proc_raise") (param i32) (result i32) (i32.const 58))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8)))
