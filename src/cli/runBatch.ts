/** What `floodgate batch` does: checks everything, then asks, then says what happened. */
import { setFlagsFromString } from "node:v8"

import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Checkpoint from "../Checkpoint.js"
import * as BatchRun from "../internal/batchRun.js"
import { format as formatProblem } from "../internal/configProblem.js"
import type { Configured } from "../internal/configServices.js"
import { writeReasonOf } from "../internal/fileReason.js"
import * as Observe from "../internal/observe.js"
import * as Ledger from "../Ledger.js"
import * as Progress from "../Progress.js"
import * as RateLimiter from "../RateLimiter.js"
import * as Receipt from "../Receipt.js"
import * as Retry from "../Retry.js"
import * as AskedRows from "./askedRows.js"
import type { Flags, RunFlags } from "./batchCommand.js"
import { cacheFileOf, checkFlags, servicesOf, settingsOf } from "./batchLayers.js"
import * as RunBudget from "./budget.js"
import { whileBusy } from "./busyNote.js"
import { type CliError, from } from "./CliError.js"
import { checkDistinct, checkWritable } from "./checkFiles.js"
import { type Checked, checkInput } from "./checkInput.js"
import * as Drain from "./drain.js"
import { checkpointOf, formatsOf, isTable, jobFileOf } from "./fileFormat.js"
import { checkPositive } from "./flags.js"
import * as InputFile from "./inputFile.js"
import type * as InputRows from "./inputRows.js"
import * as Log from "./log.js"
import * as LogCalls from "./logCalls.js"
import * as OutputFile from "./outputFile.js"
import * as ProviderBatch from "./providerBatch.js"
import * as Questions from "./questions.js"
import * as RowSelection from "./rowSelection.js"
import * as RunNotes from "./runNotes.js"
import { finalTable, summary } from "./runSummary.js"
import { checkSamples } from "./samples.js"
import { stdin } from "./stdin.js"

/**
 * By default V8 lets the heap grow to a multiple of what is in use before it collects it as a whole. Half as much again
 * takes 200 MB less once 60,000 answers are in the cache, at a twentieth more CPU. Before anything is asked there is
 * next to nothing to collect.
 */
const saveMemory = Effect.sync(() => setFlagsFromString("--heap-growing-percent=50"))

/** The exit code: 0 all succeeded, 1 some failed, or were not asked for want of budget. */
export const runBatch = (
  flags: Flags
): Effect.Effect<number, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    yield* checkPositive("max-tokens", flags.maxTokens)
    yield* checkSamples(flags.samples)
    return yield* runRows(flags, Questions.chats(flags))
  })

/** The same for whatever is asked. */
export const runRows = (
  flags: RunFlags,
  questions: Questions.Questions
): Effect.Effect<number, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    yield* checkFlags(flags)
    const selection = yield* RowSelection.parse(flags)
    yield* InputFile.check(flags.input)
    const configured = yield* settingsOf(flags)
    if (flags.providerBatch) yield* ProviderBatch.check(flags, configured)
    yield* checkDistinct(flags, cacheFileOf(configured))
    const log = yield* Log.open(flags, configured.log)
    return yield* log.provide(answer({ flags, questions, selection, configured, log }))
  })

/** The settings with a cache in memory of this size, where they do not say another. */
const remembering = (configured: Configured, capacity: number | undefined): Configured => {
  const { loaded } = configured
  const { cache } = loaded.settings
  if (capacity === undefined || cache?.capacity !== undefined) return configured
  return {
    ...configured,
    loaded: { ...loaded, settings: { ...loaded.settings, cache: { ...cache, capacity } } }
  }
}

interface Asked {
  readonly flags: RunFlags
  readonly questions: Questions.Questions
  readonly selection: RowSelection.Selection
  readonly configured: Configured
  readonly log: Log.Log
}

const answer = ({
  configured,
  flags,
  log: { display, note, say },
  questions,
  selection
}: Asked): Effect.Effect<number, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    if (flags.receipt !== undefined) yield* checkWritable("receipt", flags.receipt)
    const formats = formatsOf(flags)
    const outcomes = checkpointOf(flags)
    if (formats.output !== "jsonl") yield* OutputFile.check(flags.output, outcomes)

    const budget = yield* RunBudget.make(flags, configured)
    const calls = yield* LogCalls.layerOf(flags)

    const name = InputFile.nameOf(flags.input)
    const input: InputRows.Input = {
      path: yield* InputFile.open(flags.input, stdin),
      name,
      format: formats.input
    }
    let superseded = 0
    let isSealed = false
    // indexes that stay empty, once they are known
    let isLeftOut: (index: number) => boolean = () => false
    const checkpoint = yield* Layer.build(Checkpoint.layerFile(outcomes)).pipe(
      Effect.map((context) => {
        const file = Context.get(context, Checkpoint.Checkpoint)
        return {
          ...file,
          seal: (total: number) =>
            Effect.tap(file.seal(total, isLeftOut), (sealed) => {
              superseded = sealed.superseded
              isSealed = true
            })
        }
      }),
      Effect.mapError(from)
    )
    const { options, router, warnings } = configured
    const startedAt = now()
    const tally = Receipt.tally(checkpoint.found)
    const failures = new Map<string, string>()
    const add: typeof tally.add = (settled) => {
      tally.add(settled)
      if (Either.isLeft(settled.outcome))
        failures.set(settled.outcome.left._tag, settled.outcome.left.message)
    }
    yield* Layer.build(calls)
    const observer = yield* Observe.observer
    const checked: Checked = yield* checkInput({
      input,
      flags,
      questions: yield* RunBudget.checked(questions, budget, configured),
      selection,
      checkpoint,
      router: {
        ...router,
        resolve: (request) => router.resolve(request, request.task ?? options.task)
      },
      wantsColumns: isTable(formats.output),
      onDone: (settled) => {
        add(settled)
        const restored = BatchRun.restoredEvent(settled, now(), options.task)
        if (restored !== undefined) observer?.request?.(restored)
      }
    }).pipe(
      Effect.mapError(from),
      whileBusy(
        `Reading ${name} …`,
        !(flags.noProgress || flags.progress === "none" || flags.progress === "json")
      )
    )
    const { left, span, total } = checked
    const asked = AskedRows.make({ input, questions, selection, checked })
    isLeftOut = asked.isLeftOut
    const receiptNow = (interrupted: boolean) =>
      tally.receipt({ wallSeconds: (now() - startedAt) / 1000, interrupted })
    const progress = yield* Progress.make({ total, before: receiptNow(false), budget })
    const observers = Layer.mergeAll(
      Ledger.layer,
      Layer.succeed(Progress.Progress, progress),
      Observe.add(progress.observer),
      Log.attempts(configured.log.calls)
    )
    const services = yield* Layer.build(
      Layer.provideMerge(observers, servicesOf(remembering(configured, questions.remembered)))
    )
    const drain = Drain.make(Context.get(services, RateLimiter.RateLimiter))
    yield* note(`${name} → ${flags.output}: ${total} requests, ${left} of them to be asked`)
    for (const warning of warnings) yield* say(formatProblem(warning))
    for (const note of RunNotes.opened(checkpoint, outcomes, checked)) yield* say(note)

    let unasked = 0
    const isUsedUp = () => unasked > 0 && budget?.account.isUsedUp === true
    const rest = BatchRun.stream(
      Stream.takeWhile(asked.requests, () => !isUsedUp()),
      {
        ...options,
        budget,
        // more workers than requests would have nothing to do
        concurrency: Math.min(questions.workers(options.concurrency ?? 64, services), left),
        checkpoint: Layer.succeed(Checkpoint.Checkpoint, checkpoint),
        retry: Retry.make(configured.retry),
        leftOut: isLeftOut,
        encoding: questions.encoding
      }
    ).pipe(
      Stream.runForEachChunk((chunk) =>
        Effect.sync(() => {
          for (const settled of chunk) {
            // its row is that of a later run
            if (RunBudget.isUnasked(settled)) unasked++
            else add(settled)
          }
        })
      ),
      Effect.provide(Context.add(services, RateLimiter.RateLimiter, drain.limiter))
    )
    const byJobs = ProviderBatch.answer({
      ...options,
      asked,
      checkpoint,
      jobFile: jobFileOf(outcomes),
      retry: Retry.make(configured.retry),
      encoding: questions.encoding,
      say,
      onSettled: add
    }).pipe(Effect.provide(services))
    const ask = Effect.mapError(
      left === 0 ? checkpoint.seal(span) : Effect.zipRight(saveMemory, flags.providerBatch ? byJobs : rest),
      from
    )
    // jobs say themselves how they get on, which takes hours
    const shown = flags.providerBatch ? ask : Effect.scoped(Effect.zipRight(display.show(progress), ask))
    const { output: format } = formats
    const makeOutput = Effect.gen(function* () {
      if (format === "jsonl" || receiptNow(false).requests === 0) return
      const source = { input, columns: checked.columns, questions }
      if (isSealed) return yield* OutputFile.write(flags.output, format, { ...source, outcomes })
      const snapshot = OutputFile.snapshotOf(outcomes)
      yield* checkpoint
        .snapshot(snapshot, Math.max(span, asked.reached()))
        .pipe(
          Effect.mapError(from),
          Effect.zipRight(OutputFile.write(flags.output, format, { ...source, outcomes: snapshot })),
          Effect.ensuring(Effect.ignore(fs.remove(snapshot)))
        )
    })
    const finish = (interrupted: boolean) =>
      Effect.gen(function* () {
        const paid = yield* Context.get(services, Ledger.Ledger).summary
        const state = budget === undefined ? undefined : yield* budget.state
        const receipt = {
          ...Receipt.withLedger(receiptNow(interrupted), paid),
          ...(state === undefined ? undefined : { budget: state })
        }
        if (flags.stats) display.print(finalTable(paid, yield* progress.snapshot, process.stderr))
        yield* say(summary(receipt, total, flags.output, failures))
        if (state !== undefined && unasked > 0) {
          yield* say(RunBudget.reached(state, total - receipt.requests))
        }
        if (superseded > 0) yield* say(RunNotes.setAside(superseded, outcomes))
        if (flags.receipt === undefined) return receipt
        yield* Effect.catchAll(
          fs.writeFileString(flags.receipt, `${JSON.stringify(receipt, undefined, 2)}\n`),
          (error) => say(`The receipt could not be written: ${writeReasonOf(error)}`)
        )
        return receipt
      })
    // a full disk ends a run early too: what was done is said all the same
    yield* Effect.onError(drain.run(shown), () =>
      Effect.zipRight(
        Effect.catchAll(makeOutput, ({ message }) => say(message)),
        finish(true)
      )
    )
    const made = yield* Effect.either(makeOutput)
    const { failed } = yield* finish(false)
    yield* made
    return failed === 0 && unasked === 0 ? 0 : 1
  })
