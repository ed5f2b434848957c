/** What `floodgate batch` does: checks everything, then asks, then says what happened. */

import { SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Chunk from "effect/Chunk"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { batchStream } from "../Batch.js"
import * as Cache from "../Cache.js"
import * as Checkpoint from "../Checkpoint.js"
import type { Options as EndpointOptions } from "../Endpoint.js"
import * as HttpClientPool from "../HttpClientPool.js"
import { cacheKey } from "../internal/cacheKey.js"
import type { LlmError } from "../LlmError.js"
import * as OpenAi from "../providers/OpenAi.js"
import * as RateLimiter from "../RateLimiter.js"
import * as Receipt from "../Receipt.js"
import * as Retry from "../Retry.js"
import * as Router from "../Router.js"
import type { Flags } from "./batchCommand.js"
import { CliError } from "./CliError.js"
import { checkPositive, parseDuration, wrong } from "./flags.js"
import * as InputFile from "./inputFile.js"
import * as Progress from "./progress.js"
import * as Record from "./record.js"

const parseRetries = (text: string | undefined): Effect.Effect<Retry.Options, CliError> => {
  if (text === undefined) return Effect.succeed({})
  if (text === "forever") return Effect.succeed({ maxRetries: "forever" })
  return /^\d+$/.test(text)
    ? Effect.succeed({ maxRetries: Number(text) })
    : wrong(`--max-retries takes a whole number or "forever", not "${text}"`)
}

const configMessage = (error: ConfigError.ConfigError): string =>
  error._op === "And" || error._op === "Or" ? configMessage(error.left) : error.message

/** The endpoint of the environment, as far as the flags do not say otherwise. */
const endpointOf = (flags: Flags): Effect.Effect<EndpointOptions, CliError> =>
  Effect.gen(function* () {
    const found = yield* Effect.mapError(
      OpenAi.config,
      (error) => new CliError({ message: configMessage(error) })
    )
    const baseUrl = flags.baseUrl ?? found.baseUrl
    if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol)) {
      return yield* wrong(`The base URL must start with http:// or https://, not "${baseUrl}"`)
    }
    return { ...found, baseUrl, model: flags.model ?? found.model }
  })

const isCacheFile = (where: string): boolean => where !== "memory" && where !== "off"

const cacheOf = (where: string): Layer.Layer<Cache.Cache, CliError> => {
  switch (where) {
    case "memory":
      return Cache.layerMemory({ capacity: 100_000 })
    case "off":
      return Cache.layerNone
    default:
      return Layer.mapError(
        Cache.layerSqlite({ filename: where }),
        (error) => new CliError({ message: `--cache: ${error.message}` })
      )
  }
}

/** Whether the receipt can be made or replaced, found out before anything is paid for. */
const checkReceipt = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const there = yield* Effect.option(fs.stat(file))
    if (Option.isSome(there) && there.value.type === "Directory") {
      yield* wrong(`--receipt: cannot write ${file}: it is a folder`)
    }
    yield* Effect.mapError(
      fs.access(Option.isSome(there) ? file : path.dirname(path.resolve(file)), { writable: true }),
      () => new CliError({ message: `--receipt: cannot write ${file}: no such folder, or no permission` })
    )
  })

/** No file is to be written over by another one of the same run. */
const checkDistinct = (flags: Flags) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const real = (file: string) =>
      fs.realPath(file).pipe(
        Effect.orElse(() =>
          Effect.map(fs.realPath(path.dirname(path.resolve(file))), (folder) =>
            path.join(folder, path.basename(file))
          )
        ),
        Effect.orElseSucceed(() => path.resolve(file))
      )
    const files: ReadonlyArray<readonly [name: string, file: string | undefined]> = [
      ["INPUT", flags.input],
      ["--output", flags.output],
      ["--receipt", flags.receipt],
      ["--cache", isCacheFile(flags.cache) ? flags.cache : undefined]
    ]
    const names = new Map<string, string>()
    for (const [name, file] of files) {
      if (file === undefined) continue
      const place = yield* real(file)
      const other = names.get(place)
      if (other !== undefined) yield* wrong(`${other} and ${name} are the same file: ${file}`)
      names.set(place, name)
    }
  })

const defaultsOf = (flags: Flags): Record.Defaults => ({
  prompt: flags.prompt,
  system: flags.system,
  parameters: {
    ...(flags.temperature === undefined ? undefined : { temperature: flags.temperature }),
    ...(flags.maxTokens === undefined ? undefined : { max_tokens: flags.maxTokens })
  }
})

/** How many bad lines are named before the run is refused. */
const namedLines = 5

/**
 * Reads the whole input once before anything is sent: a bad line is found now and not after an hour, and an output
 * that holds answers to other questions is not written into.
 */
const checkInput = (
  path: string,
  flags: Flags,
  checkpoint: Context.Tag.Service<Checkpoint.Checkpoint>,
  router: Router.Service
) =>
  Effect.gen(function* () {
    const defaults = defaultsOf(flags)
    const name = InputFile.nameOf(flags.input)
    const bad: Array<string> = []
    let badLines = 0
    let total = 0
    let withoutModel = 0
    const stored = checkpoint.found.success + checkpoint.found.failed
    let isForeign = stored > 0
    const hasDefaultModel = router.endpoints.every(({ model }) => model !== undefined)

    yield* Stream.runForEachChunk(InputFile.lines(path), (chunk) =>
      Effect.gen(function* () {
        for (const { number, text } of chunk) {
          const request = Record.fromLine(text, defaults)
          if (Either.isLeft(request)) {
            badLines++
            if (bad.length < namedLines) bad.push(`line ${number}: ${request.left}`)
            continue
          }
          total++
          if (request.right.model === undefined && !hasDefaultModel) withoutModel++
          else if (isForeign) {
            const resolved = yield* Effect.option(router.resolve(request.right))
            if (Option.isSome(resolved) && (yield* checkpoint.has(cacheKey(resolved.value))))
              isForeign = false
          }
        }
      })
    )
    if (badLines > 0) {
      const more = badLines > bad.length ? [`and ${badLines - bad.length} more`] : []
      return yield* wrong(
        [
          `${name}: ${badLines} bad ${badLines === 1 ? "line" : "lines"}. Nothing was sent`,
          ...bad,
          ...more
        ].join("\n  ")
      )
    }
    if (total === 0) return yield* wrong(`${name}: no requests in it`)
    if (withoutModel > 0) {
      return yield* wrong(
        `No model: pass --model, set OPENAI_MODEL, or name one in each request (${withoutModel} have none)`
      )
    }
    if (isForeign) {
      return yield* wrong(
        `${flags.output} holds ${stored} outcomes, and none is of these requests (another input, model or parameter). It was not touched: choose another --output, or move that file away`
      )
    }
    return total
  })

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
    yield* checkPositive("concurrency", flags.concurrency)
    yield* checkPositive("rps", flags.rps)
    yield* checkPositive("rpm", flags.rpm)
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
        RateLimiter.layer({
          domains: { "*": { requestsPerSecond: flags.rps, requestsPerMinute: flags.rpm } }
        }),
        cacheOf(flags.cache)
      )
    )
    const limiter = Context.get(services, RateLimiter.RateLimiter)
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
      concurrency: Math.min(flags.concurrency, total),
      checkpoint: Layer.succeed(Checkpoint.Checkpoint, checkpoint),
      retry,
      timeout
    }).pipe(
      Stream.runForEach((settled) => Effect.sync(() => tally.add(settled))),
      Effect.provide(services),
      Effect.mapError((error) => new CliError({ message: error.message }))
    )
    const shown = flags.noProgress
      ? ask
      : Effect.scoped(
          Effect.zipRight(
            Progress.show(
              Effect.map(limiter.states, (domains) => ({
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
    yield* Effect.onError(shown, () => finish(true))
    const { failed } = yield* finish(false)
    return failed === 0 ? 0 : 1
  })
