"""The loop that runs a program's commands, in LLVM's language, so that a first run needs no other compiler.

``graphc.runtime.executor`` explains the table and the array that threads share. In short:

    launch (mode 0)    start a step; if a helper sleeps, return at once so that it can be woken
    run (modes 0, 1)   run every command of the table, then wait for all threads
    serve (mode 2)     run every step that is started, until none has been for a while
"""

from __future__ import annotations

import llvmlite.binding as llvm

from graphc.passes.source import Source

__all__ = ["MOST_ARGUMENTS", "drive_source"]

MOST_ARGUMENTS = 64
"""The most sizes and buffers that a kernel takes."""

_HEAD = """
define i32 @KERNEL(ptr %unused1, ptr %unused2, i64 %mode, i64 %thread, ptr %shared) {
entry:
  %ignored = alloca [2 x i64]
  %ignored2 = getelementptr i64, ptr %ignored, i64 1
  %threads.at = getelementptr i64, ptr %shared, i64 11
  %threads = load i64, ptr %threads.at
  %mine = shl i64 %thread, 3
  %barriers = getelementptr i64, ptr %shared, i64 64
  %barrier.at = getelementptr i64, ptr %barriers, i64 %mine
  %sleeps = getelementptr i64, ptr %shared, i64 512
  %sleep.at = getelementptr i64, ptr %sleeps, i64 %mine
  %steps = getelementptr i64, ptr %shared, i64 1024
  %step.at = getelementptr i64, ptr %steps, i64 %mine
  %wakes = getelementptr i64, ptr %shared, i64 1536
  %wake.all.at = getelementptr i64, ptr %shared, i64 16
  %serving = icmp eq i64 %mode, 2
  %launching = icmp eq i64 %mode, 0
  br i1 %launching, label %launch, label %join

launch:
  store i64 0, ptr %wake.all.at
  %last = load atomic i64, ptr %shared seq_cst, align 8
  %new = add i64 %last, 1
  store atomic i64 %new, ptr %shared seq_cst, align 8
  br label %look
look:
  %helper = phi i64 [ 1, %launch ], [ %next.helper, %looked ]
  %more.helpers = icmp slt i64 %helper, %threads
  br i1 %more.helpers, label %ask, label %asked
ask:
  %its = shl i64 %helper, 3
  %its.sleep.at = getelementptr i64, ptr %sleeps, i64 %its
  %slept = atomicrmw xchg ptr %its.sleep.at, i64 0 seq_cst
  %asleep = icmp eq i64 %slept, 1
  br i1 %asleep, label %mark, label %looked
mark:
  store i64 1, ptr %wake.all.at
  %its.wake.at = getelementptr i64, ptr %wakes, i64 %its
  store i64 1, ptr %its.wake.at
  br label %looked
looked:
  %next.helper = add i64 %helper, 1
  br label %look
asked:
  %sleepers = load i64, ptr %wake.all.at
  %some.sleep = icmp ne i64 %sleepers, 0
  br i1 %some.sleep, label %leave, label %join

join:
  br i1 %serving, label %serve, label %run
serve:
  %seen.before = load i64, ptr %step.at
  br label %await
await:
  %seen = phi i64 [ %seen.before, %serve ], [ %step, %finished ]
  br label %spin
spin:
  %spins = phi i64 [ 0, %await ], [ %spun, %spin.on ], [ 0, %awake ]
  %started = load atomic i64, ptr %shared seq_cst, align 8
  %nothing.new = icmp eq i64 %started, %seen
  br i1 %nothing.new, label %spin.on.or.sleep, label %start
spin.on.or.sleep:
  PAUSE
  %spun = add i64 %spins, 1
  %tired = icmp sgt i64 %spun, SPINS
  br i1 %tired, label %doze, label %spin.on
spin.on:
  br label %spin
doze:
  store atomic i64 1, ptr %sleep.at seq_cst, align 8
  %once.more = load atomic i64, ptr %shared seq_cst, align 8
  %still.nothing = icmp eq i64 %once.more, %seen
  br i1 %still.nothing, label %sleep, label %awake
sleep:
  store i64 %seen, ptr %step.at
  br label %leave
awake:
  %was.asleep = atomicrmw xchg ptr %sleep.at, i64 0 seq_cst
  br label %spin
start:
  %seen.next = add i64 %seen, 1
  br label %run

run:
  %step = phi i64 [ 0, %join ], [ %seen.next, %start ]
  %table.at = getelementptr i64, ptr %shared, i64 8
  %table.word = load atomic i64, ptr %table.at seq_cst, align 8
  %table = inttoptr i64 %table.word to ptr
  %end.at = getelementptr i64, ptr %shared, i64 9
  %end = load atomic i64, ptr %end.at seq_cst, align 8
  %passed.first = load i64, ptr %barrier.at
  br label %command
command:
  %position = phi i64 [ 0, %run ], [ %after.call, %called ], [ %after.barrier, %together ], [ %after.choice, %choose ]
  %passed = phi i64 [ %passed.first, %run ], [ %passed, %called ], [ %reached, %together ], [ %passed, %choose ]
  %left = icmp slt i64 %position, %end
  br i1 %left, label %read, label %barrier
read:
  %kind.at = getelementptr i64, ptr %table, i64 %position
  %kind.read = load i64, ptr %kind.at
  %calls = icmp slt i64 %kind.read, 2
  br i1 %calls, label %call, label %choose.or.wait
choose.or.wait:
  %chooses = icmp sgt i64 %kind.read, 3
  br i1 %chooses, label %choose, label %barrier

choose:
  %condition.at = getelementptr i64, ptr %kind.at, i64 1
  %condition.word = load i64, ptr %condition.at
  %condition.place = inttoptr i64 %condition.word to ptr
  %condition = load i8, ptr %condition.place
  %holds = icmp ne i8 %condition, 0
  %for.true = icmp eq i64 %kind.read, 5
  %chosen = icmp eq i1 %holds, %for.true
  %skipped.at = getelementptr i64, ptr %kind.at, i64 2
  %skipped = load i64, ptr %skipped.at
  %skip = select i1 %chosen, i64 0, i64 %skipped
  %behind.choice = add i64 %position, 3
  %after.choice = add i64 %behind.choice, %skip
  br label %command

call:
  %alone = icmp eq i64 %kind.read, 0
  %first = icmp eq i64 %thread, 0
  %shares = icmp eq i64 %kind.read, 1
  %takes.part = or i1 %first, %shares
  %part = select i1 %alone, i64 0, i64 %thread
  %parts = select i1 %alone, i64 1, i64 %threads
  %function.at = getelementptr i64, ptr %kind.at, i64 1
  %function.word = load i64, ptr %function.at
  %function = inttoptr i64 %function.word to ptr
  %count.at = getelementptr i64, ptr %kind.at, i64 2
  %count = load i64, ptr %count.at
  %arguments = getelementptr i64, ptr %kind.at, i64 3
  %length = add i64 %count, 3
  %after.call = add i64 %position, %length
  br i1 %takes.part, label %pick, label %called
"""

_TAIL = """
called:
  br label %command

barrier:
  %kind = phi i64 [ 2, %command ], [ %kind.read, %choose.or.wait ]
  %stops = icmp eq i64 %kind, 3
  %rounds = select i1 %stops, i64 2, i64 1
  br label %round
round:
  %number = phi i64 [ 0, %barrier ], [ %next.number, %round.end ]
  %passed.before = phi i64 [ %passed, %barrier ], [ %reached, %round.end ]
  %stop.before = phi i1 [ false, %barrier ], [ %stop, %round.end ]
  %reached = add i64 %passed.before, 1
  store atomic i64 %reached, ptr %barrier.at seq_cst, align 8
  br label %others
others:
  %other = phi i64 [ 0, %round ], [ %next.other, %there ]
  %more.others = icmp slt i64 %other, %threads
  br i1 %more.others, label %watch, label %round.end
watch:
  %theirs = shl i64 %other, 3
  %their.barrier.at = getelementptr i64, ptr %barriers, i64 %theirs
  br label %late.or.there
late.or.there:
  %waited = phi i64 [ 0, %watch ], [ %waited.on, %wait.on ]
  %their.barrier = load atomic i64, ptr %their.barrier.at seq_cst, align 8
  %late = icmp slt i64 %their.barrier, %reached
  br i1 %late, label %idle, label %there
idle:
  PAUSE
  %waited.on = add i64 %waited, 1
  %turn = urem i64 %waited.on, PATIENCE
  %yields = icmp eq i64 %turn, 0
  br i1 %yields, label %yield, label %wait.on
yield:
  %yielded = call i32 @GIVE_WAY()
  br label %wait.on
wait.on:
  br label %late.or.there
there:
  %next.other = add i64 %other, 1
  br label %others
round.end:
  %status.at = getelementptr i64, ptr %shared, i64 10
  %status = load atomic i64, ptr %status.at seq_cst, align 8
  %bad = icmp ne i64 %status, 0
  %first.round = icmp eq i64 %number, 0
  %looks = and i1 %stops, %first.round
  %stop.now = and i1 %looks, %bad
  %stop = or i1 %stop.before, %stop.now
  %next.number = add i64 %number, 1
  %more.rounds = icmp slt i64 %next.number, %rounds
  br i1 %more.rounds, label %round, label %together
together:
  %behind = add i64 %position, 3
  %after.barrier = select i1 %stop, i64 %end, i64 %behind
  %over = icmp sgt i64 %after.barrier, %end
  br i1 %over, label %finished, label %command
finished:
  br i1 %serving, label %await, label %leave
leave:
  ret i32 0
}
"""


def drive_source(spins: int, patience: int) -> Source:
    """The loop as a kernel of two integers and a pointer.

    spins: pauses of a helper before it goes to sleep. patience: pauses at a barrier before a thread lets others run.
    """
    triple = llvm.get_process_triple()
    pause = declared = ""
    if triple.startswith(("x86_64", "i686")):
        pause, declared = "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()\n"
    elif triple.startswith(("aarch64", "arm64")):
        pause, declared = "call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)\n"
    give_way = "SwitchToThread" if "windows" in triple else "sched_yield"
    text = _HEAD + _calls() + _TAIL
    for word, value in {"PAUSE": pause, "SPINS": str(spins), "PATIENCE": str(patience), "GIVE_WAY": give_way}.items():
        text = text.replace(word, value)
    return Source("drive", f"{text}{declared}declare i32 @{give_way}()\n", language="llvm")


def _calls() -> str:
    """A block for each number of arguments, which loads them and calls the kernel."""
    cases = " ".join(f"i64 {count}, label %with.{count}" for count in range(MOST_ARGUMENTS + 1))
    lines = ["pick:", f"  switch i64 %count, label %called [ {cases} ]"]
    for count in range(MOST_ARGUMENTS + 1):
        lines.append(f"with.{count}:")
        for number in range(count):
            place = f"%a{count}.{number}"
            lines.append(f"  {place}.at = getelementptr i64, ptr %arguments, i64 {number}")
            lines.append(f"  {place} = load i64, ptr {place}.at")
        passed = "".join(f", i64 %a{count}.{number}" for number in range(count))
        leading = "ptr %ignored, ptr %ignored2, i64 %part, i64 %parts"
        lines.append(f"  %result.{count} = call i32 %function({leading}{passed})")
        lines.append("  br label %called")
    return "\n".join(lines) + "\n"
