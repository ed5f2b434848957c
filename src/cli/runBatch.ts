/** What `floodgate batch` does: checks everything, then asks, then says what happened. */

import { SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { batchStream } from "../Batch.js"
import * as Checkpoint from "../Checkpoint.js"
import * as HttpClientPool from "../HttpClientPool.js"
import type { LlmError } from "../LlmError.js"
import * as OpenAi from "../providers/OpenAi.js"
import * as RateLimiter from "../RateLimiter.js"
import * as Receipt from "../Receipt.js"
import * as Retry from "../Retry.js"
import * as Router from "../Router.js"
import type { Flags } from "./batchCommand.js"
import { cacheOf, endpointOf, limiterOf, limitsOf, parseConcurrency, parseRetries } from "./batchLayers.js"
import { CliError } from "./CliError.js"
import { checkDistinct, checkReceipt } from "./checkFiles.js"
import { checkInput, defaultsOf } from "./checkInput.js"
import * as Drain from "./drain.js"
import { checkPositive, parseDuration } from "./flags.js"
import * as InputFile from "./inputFile.js"
import * as Progress from "./progress.js"
import * as Record from "./record.js"

/** What opening the output found that a user should know. */
const notes = (
  { found }: Context.Tag.Service<Checkpoint.Checkpoint>,
  output: string
): ReadonlyArray<string> => [
  ...(found.success + found.failed === 0
    ? []
    : [`${output}: ${found.success} answers of an earlier run, ${found.failed} failures to try again`]),
  ...Option.match(found.cut, {
    onNone: () => [],
    onSome: ({ bytes }) => [
      `${output}: its last line was cut off in mid-write (${bytes} bytes); it is done again`
    ]
  }),
  ...(found.corrupt === 0 ? [] : [`${output}: ${found.corrupt} unreadable lines passed over`])
]

const say = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`))

const stdin = NodeStream.fromReadable<ReturnType<typeof stdinError>, Uint8Array>(
  () => process.stdin,
  (cause) => stdinError(cause)
)

const stdinError = (cause: unknown) =>
  new SystemError({ reason: "Unknown", module: "Stream", method: "stdin", cause })

/** The exit code: 0 all succeeded, 1 some failed. */
export const runBatch = (
  flags: Flags
): Effect.Effect<number, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { limit, workers } = yield* parseConcurrency(flags.concurrency)
    const limits = yield* limitsOf(flags, limit)
    yield* checkPositive("max-tokens", flags.maxTokens)
    const trouble: { attempts: number; last: Progress.Trouble["last"] } = { attempts: 0, last: undefined }
    const clock = yield* Effect.clock
    const retry = Schedule.tapInput(
      Retry.make(yield* parseRetries(flags.maxRetries)),
      ({ message }: LlmError) =>
        Effect.sync(() => {
          trouble.attempts++
          trouble.last = { message, at: clock.unsafeCurrentTimeMillis() }
        })
    )
    const timeout = flags.timeout === undefined ? undefined : yield* parseDuration("timeout", flags.timeout)
    const deadline =
      flags.deadline === undefined ? undefined : yield* parseDuration("deadline", flags.deadline)
    yield* InputFile.check(flags.input)
    yield* checkDistinct(flags)
    if (flags.receipt !== undefined) yield* checkReceipt(flags.receipt)
    const endpoint = yield* endpointOf(flags)

    const input = yield* InputFile.open(flags.input, stdin)
    const checkpoint = yield* Layer.build(Checkpoint.layerFile(flags.output)).pipe(
      Effect.map((context) => Context.get(context, Checkpoint.Checkpoint)),
      Effect.mapError(({ message }) => new CliError({ message }))
    )
    const router = Router.make({ endpoints: [endpoint] })
    const total = yield* checkInput(input, flags, checkpoint, router)
    const services = yield* Layer.build(
      Layer.mergeAll(
        Layer.provide(OpenAi.layer, HttpClientPool.layer()),
        Layer.succeed(Router.Router, router),
        limiterOf(flags, limits),
        cacheOf(flags.cache)
      )
    )
    const drain = Drain.make(Context.get(services, RateLimiter.RateLimiter))
    const startedAt = clock.unsafeCurrentTimeMillis()
    const tally = Receipt.tally(checkpoint.found)
    const receiptNow = (interrupted: boolean) =>
      tally.receipt({ wallSeconds: (clock.unsafeCurrentTimeMillis() - startedAt) / 1000, interrupted })

    for (const note of notes(checkpoint, flags.output)) yield* say(note)

    const defaults = defaultsOf(flags)
    const name = InputFile.nameOf(flags.input)
    const requests = Stream.mapChunksEffect(InputFile.lines(input), (chunk) =>
      Effect.map(
        Effect.forEach(chunk, ({ number, text }) =>
          Effect.mapError(
            Record.fromLine(text, defaults),
            (reason) =>
              new CliError({ message: `${name} changed while it was read: line ${number}: ${reason}` })
          )
        ),
        Chunk.unsafeFromArray
      )
    )
    const ask = batchStream(requests, {
      // more workers than requests would have nothing to do
      concurrency: Math.min(workers, total),
      checkpoint: Layer.succeed(Checkpoint.Checkpoint, checkpoint),
      retry,
      timeout,
      deadline
    }).pipe(
      Stream.runForEach((settled) => Effect.sync(() => tally.add(settled))),
      Effect.provide(Context.add(services, RateLimiter.RateLimiter, drain.limiter)),
      Effect.mapError((error) => new CliError({ message: error.message }))
    )
    const shown = flags.noProgress
      ? ask
      : Effect.scoped(
          Effect.zipRight(
            Progress.show(
              Effect.map(drain.limiter.states, (domains) => ({
                total,
                domains,
                trouble,
                receipt: receiptNow(false)
              })),
              process.stderr
            ),
            ask
          )
        )
    const finish = (interrupted: boolean) =>
      Effect.gen(function* () {
        const receipt = receiptNow(interrupted)
        yield* say(Progress.summary(receipt, total, flags.output))
        if (flags.receipt === undefined) return receipt
        yield* Effect.catchAll(
          fs.writeFileString(flags.receipt, `${JSON.stringify(receipt, undefined, 2)}\n`),
          (error) => say(`The receipt could not be written: ${error.message}`)
        )
        return receipt
      })
    // a full disk ends a run early too: what was done is said all the same
    yield* Effect.onError(drain.run(shown), () => finish(true))
    const { failed } = yield* finish(false)
    return failed === 0 ? 0 : 1
  })
