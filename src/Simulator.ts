/**
 * A provider to practise on: a real HTTP server on this machine that speaks the wires of all providers, each at a base
 * URL of its own ({@link Service.urls}), with limits, latency, faults and a billing log of your choosing. Try a batch on
 * it before it costs money; test a client on it that must survive 429s, resets and stalls.
 *
 * ```ts
 * import * as Console from "effect/Console"
 * import * as Effect from "effect/Effect"
 * import * as Simulator from "floodgate/Simulator"
 *
 * const program = Effect.gen(function* () {
 *   const simulator = yield* Simulator.make({
 *     latency: { kind: "lognormal", median: "400 millis", p95: "2 seconds" },
 *     limits: { rpm: 600, tpm: 100_000 },
 *     faults: [{ kind: "status", status: 500, rate: 0.05 }, { kind: "reset", rate: 0.02 }]
 *   })
 *   yield* Console.log(`OPENAI_BASE_URL=${simulator.url}`)
 *   yield* Effect.never
 * }).pipe(Effect.scoped)
 * ```
 *
 * **Answers** are functions of the request and the seed. A text answer reads `Answer 3f2a…: <the prompt's
 * beginning>. <filler>`, where `3f2a…` is {@link requestHash} of the body; the same hash stands in the
 * answer's `id` and in the log. Free strings of JSON answers and tool arguments are `Answer 3f2a…`.
 *
 * **Tokens** are counted as four characters each, rounded up; a chat prompt adds 3 tokens for each message
 * and 3 for the answer, and 85 for each part that is not text.
 *
 * **The bill** counts as the provider's own usage does: what was read from and written to its prompt cache is part
 * of the input, thoughts are part of the output. It includes calls that nobody got an answer of: see
 * {@link LogEntry.delivered} and {@link Summary.undelivered}.
 *
 * **Time** is the `Clock` of the fiber that made the simulator: under `TestClock`, latencies and limits
 * advance with it.
 *
 * @module
 */
import type { ServeError } from "@effect/platform/HttpServerError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { BatchOptions } from "./simulator/BatchJobs.js"
import type { Price } from "./simulator/Bill.js"
import * as BillingLog from "./simulator/BillingLog.js"
import * as Control from "./simulator/Control.js"
import type { Distribution } from "./simulator/Draw.js"
import * as Engine from "./simulator/Engine.js"
import type { RatedFault, ScriptedFault } from "./simulator/Faults.js"
import type { Limits } from "./simulator/Limits.js"
import * as LogFile from "./simulator/LogFile.js"
import * as RequestHash from "./simulator/RequestHash.js"
import * as Server from "./simulator/Server.js"
import * as Wires from "./simulator/Wires.js"

export type { BatchOptions } from "./simulator/BatchJobs.js"
export type { Price, Tokens } from "./simulator/Bill.js"
export type { LogEntry, Outcome, Summary, Undelivered } from "./simulator/BillingLog.js"
export type { Distribution } from "./simulator/Draw.js"
export type { Fault, FaultKind, RatedFault, ScriptedFault } from "./simulator/Faults.js"
export type { Hint } from "./simulator/Hints.js"
export type { Limits } from "./simulator/Limits.js"

/** How the simulator behaves. All of it is plain data. */
export interface Options {
  /** Port to listen on. Default 0: any free one. */
  readonly port?: number
  /** Address to listen on. Default `127.0.0.1`. */
  readonly host?: string
  /** Decides answers, latencies and faults. Default 1. */
  readonly seed?: number
  /** The one key that is good. Default: any key, but there must be one. */
  readonly apiKey?: string
  /** Models that exist. Default: every model asked for. */
  readonly models?: ReadonlyArray<string>
  /** Refuses parameters OpenAI does not know, as it does. Default true; compatible servers ignore them. */
  readonly strict?: boolean
  /** Tokens of prompt and allowed answer that a model takes. Default: no bound. */
  readonly contextWindow?: number
  /** Time to the answer, or to the first byte of a stream, before `tokensPerSecond`. Default 0. */
  readonly latency?: Distribution<Duration.DurationInput>
  /** Speed of generation, added to the latency. Default: no time at all. */
  readonly tokensPerSecond?: number
  /** Length of a text answer in tokens, drawn per request. Default uniform from 20 to 60. */
  readonly outputTokens?: Distribution<number>
  /** Hidden tokens of reasoning models, drawn per request. Default 0. */
  readonly reasoningTokens?: Distribution<number>
  /** Part of a prompt of 1024 tokens and more that counts as cached, 0 to 1. Default 0. */
  readonly cachedShare?: number
  /** Tokens in each event of a stream. Default 4. */
  readonly streamChunkTokens?: number
  /** Rate limits. Default none. */
  readonly limits?: Limits
  /** Faults by rate. Default none. */
  readonly faults?: ReadonlyArray<RatedFault>
  /** Faults by script; they come before those by rate. Default none. */
  readonly script?: ReadonlyArray<ScriptedFault>
  /** Dollars per million tokens by model, `"*"` for all others. Default: nothing costs anything. */
  readonly prices?: Readonly<Record<string, Price>>
  /** After so many charged requests or dollars, every request meets `insufficient_quota`. Default: no end. */
  readonly quota?: { readonly requests?: number; readonly dollars?: number }
  /**
   * Whether a call is billed whose client went away before its answer. Default true, as providers do: a plain answer
   * is made, and billed in full, whether or not anybody waits for it; a stream is billed for its prompt and what was
   * written before its reader left.
   */
  readonly chargeAbandoned?: boolean
  /** How jobs of the batch APIs go. Their requests are in the log as `BATCH`, at half the price. Default: at once. */
  readonly batches?: BatchOptions
  /** File of JSON lines to which each finished request is appended. Default none. */
  readonly logFile?: string
  /** Entries the log keeps in memory, at about 90 bytes each; the oldest go first. Default 1,000,000. */
  readonly logLimit?: number
  /** Characters of each prompt to keep in the log. Default 0. */
  readonly logPrompts?: number
}

/** A running simulator. */
export interface Service {
  /** Base URL for clients of OpenAI, such as `http://127.0.0.1:4010/v1`. */
  readonly url: string
  /** Base URL for clients of each provider that is spoken here, by the provider's name. */
  readonly urls: Readonly<Record<string, string>>
  readonly port: number
  /** All entries kept, in order of arrival. */
  readonly log: Effect.Effect<ReadonlyArray<BillingLog.LogEntry>>
  /** The counts over all requests since the start or the last reset. */
  readonly stats: Effect.Effect<BillingLog.Summary>
  /** Forgets log and counts. Limits, quota and script stay as far as they are used. */
  readonly reset: Effect.Effect<void>
  /** Sets other limits. What was charged so far, and is in flight, still counts, unless `per` changes. */
  readonly setLimits: (limits: Limits) => Effect.Effect<void>
  /** Sets the faults by rate. */
  readonly setFaults: (faults: ReadonlyArray<RatedFault>) => Effect.Effect<void>
  /** Starts a new script. */
  readonly setScript: (script: ReadonlyArray<ScriptedFault>) => Effect.Effect<void>
}

/** The running simulator of an application or a test. */
export class Simulator extends Context.Tag("floodgate/Simulator")<Simulator, Service>() {}

/** The hash by which answers and log name a request: the same for every order of the body's keys. */
export const requestHash = (body: unknown): string => RequestHash.ofBody(body).text

/**
 * Starts a simulator and stops it with the scope, at once, whatever it is in the middle of. Fails if the port
 * is taken or the log file cannot be opened.
 */
export const make = (options: Options = {}): Effect.Effect<Service, ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const host = options.host ?? "127.0.0.1"
    let file: LogFile.LogFile | undefined
    const log = BillingLog.make({
      startedAt: clock.unsafeCurrentTimeMillis(),
      limit: options.logLimit ?? 1_000_000,
      promptChars: options.logPrompts ?? 0,
      onFinish: options.logFile === undefined ? undefined : (entry) => file?.append(entry)
    })
    if (options.logFile !== undefined) file = yield* LogFile.make(options.logFile, log.unfinished)

    const wires = Wires.make({
      strict: options.strict ?? true,
      models: options.models,
      contextWindow: options.contextWindow,
      batches: options.batches
    })
    const engine = Engine.make(
      {
        seed: options.seed ?? 1,
        apiKey: options.apiKey,
        latency: options.latency ?? 0,
        outputTokens: options.outputTokens ?? { kind: "uniform", min: 20, max: 60 },
        reasoningTokens: options.reasoningTokens ?? 0,
        tokensPerSecond: options.tokensPerSecond,
        streamChunkTokens: options.streamChunkTokens ?? 4,
        cachedShare: options.cachedShare ?? 0,
        prices: options.prices ?? {},
        quota: options.quota,
        chargeAbandoned: options.chargeAbandoned ?? true,
        limits: options.limits ?? {},
        faults: options.faults ?? [],
        script: options.script ?? []
      },
      [wires.openai.wire, ...Object.values(wires).map(({ wire }) => wire)],
      log,
      clock
    )
    const port = yield* Server.serve(engine, Control.make(engine, log), { host, port: options.port ?? 0 })
    const origin = `http://${host.includes(":") ? `[${host}]` : host}:${port}`
    return {
      url: `${origin}/v1`,
      urls: Object.fromEntries(Object.entries(wires).map(([name, { path }]) => [name, origin + path])),
      port,
      log: Effect.sync(() => Array.from(log.entries())),
      stats: Effect.sync(log.summary),
      reset: Effect.sync(log.reset),
      setLimits: (limits) => Effect.sync(() => engine.setLimits(limits)),
      setFaults: (faults) => Effect.sync(() => engine.setFaults(faults)),
      setScript: (script) => Effect.sync(() => engine.setScript(script))
    }
  })

/** A simulator as a layer. */
export const layer = (options: Options = {}): Layer.Layer<Simulator, ServeError> =>
  Layer.scoped(Simulator, make(options))
