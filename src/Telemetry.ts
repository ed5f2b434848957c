/**
 * Metrics and spans of the requests, by OpenTelemetry's conventions for generative AI.
 *
 * They are Effect's own metrics and spans, for whatever exports those, such as `@effect/opentelemetry`. Names and
 * attributes are those of version 1.41.0 of the semantic conventions, the last that had those for generative AI in it;
 * what they have no word for is named `floodgate.*`. Nothing is counted or traced without {@link layer}.
 *
 * **Metrics.** `gen_ai.client.token.usage` counts the tokens that are billed, of every attempt whose usage the server
 * stated; `gen_ai.client.operation.duration` is a request that was sent, with its waits and retries. Besides:
 *
 * - `floodgate.requests`, by outcome and by origin: `call`, `store` (the cache), `flight` (shared with an equal request
 *   under way), `checkpoint` (an earlier run);
 * - `floodgate.attempts`, by outcome, `floodgate.attempt.duration`, `floodgate.retries` (corrections of answers that
 *   did not fit are among them) and `floodgate.hedges`, by endpoint;
 * - `floodgate.request.wait`: from a request's start to its first attempt, by limit domain;
 * - `floodgate.cost`, `floodgate.cost.wasted`, `floodgate.cost.saved` in US dollars, and `floodgate.unpriced`, the
 *   attempts that are in none of these since their model has no price. They are for a look: `Ledger` has exact sums;
 * - gauges that are set now and then: `floodgate.limit.use` (a share, by limit), `.in_flight`, `.waiting` and `.pause`
 *   by limit domain, `floodgate.circuit.state` and `floodgate.endpoint.in_flight` by endpoint, and
 *   `floodgate.router.waiting`.
 *
 * Failures are told apart by the class of the error, such as `RateLimitError`, in `error.type` and
 * `floodgate.outcome`. Models beyond the first 500 kinds of attempt or request are counted together as `(others)`. The label
 * `unit` is how Effect tells exporters of a metric's unit.
 *
 * **Spans.** One for each request, `chat gpt-4o-mini`, with one for each attempt below it, `floodgate.attempt`. Those of
 * a batch are in its span `floodgate.batch`, which there always is; those of `complete` in the one that it is called
 * in. A request that was not sent, since its answer was stored or under way, is told without tokens. Attempts that
 * several requests share, such as texts embedded together, are in the span of the batch. A million requests are
 * millions of spans: have the exporter sample them, or leave `spans` off.
 *
 * Prompts and answers are in no span unless `prompts` says so; nor are then the words of errors, which may repeat them.
 * Trace ids are not sent to providers.
 *
 * `examples/telemetry.ts` sends both to a collector, and `examples/grafana` has a dashboard for them.
 *
 * @example
 * import { batch, Chat, OpenAILive, Telemetry } from "floodgate"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const program = batch([Chat.prompt("1 + 1 = ?"), Chat.prompt("2 + 2 = ?")]).pipe(
 *   Effect.provide(Layer.merge(OpenAILive, Telemetry.layer({ spans: true })))
 * )
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Observe from "./internal/observe.js"
import * as Spans from "./internal/spans.js"
import * as TelemetryGauges from "./internal/telemetryGauges.js"
import * as TelemetryMetrics from "./internal/telemetryMetrics.js"

/** What {@link layer} takes. */
export interface Options {
  /** Count what happens. Default `true`. */
  readonly metrics?: boolean | undefined
  /** Make a span of each request. Default `false`. */
  readonly spans?: boolean | undefined
  /** Where requests are spans: make one of each attempt as well, below it. Default `true`. */
  readonly attempts?: boolean | undefined
  /** Where requests are spans: have prompts, answers and the words of errors in them. Default `false`. */
  readonly prompts?: boolean | undefined
  /** How often gauges are set. Default 1 second. */
  readonly gaugesEvery?: Duration.DurationInput | undefined
}

const metrics = (every: Duration.DurationInput): Layer.Layer<never> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const { look, meet } = yield* TelemetryGauges.make
      yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(every)))
      // nothing is in flight any more, and the last export should say so
      yield* Effect.addFinalizer(() => look)
      return Observe.add({ within: Effect.zipRight(meet, TelemetryMetrics.observer) })
    })
  )

/**
 * Counts and traces what is asked below this layer. The tracer is that of the fiber that asks: lay an exporter over or
 * under this layer, as you like.
 */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.merge(
    options.metrics === false ? Layer.empty : metrics(options.gaugesEvery ?? Duration.seconds(1)),
    options.spans === true
      ? Observe.add({
          within: Spans.observer({ attempts: options.attempts ?? true, prompts: options.prompts ?? false })
        })
      : Layer.empty
  )
