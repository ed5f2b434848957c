/**
 * What happens to requests as metrics: an observer that counts. The labels of a kind of event are made once, and its
 * next one costs a look-up and a few additions.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"
import { type Money, toDollars } from "../Prices.js"
import type { Usage } from "../Usage.js"
import type { AttemptEvent, Observer, RequestEvent } from "./observe.js"
import { operationName, providerName } from "./telemetryNames.js"

type Labels = ReadonlyArray<MetricLabel.MetricLabel>

/** Adds to a counter, or a sample to a histogram. */
type Update = (value: number) => void

/** A metric that is yet to get its labels. Exporters take the unit from a label of this name. */
const instrument =
  <Type extends MetricKeyType.MetricKeyType<number, unknown>, Out>(
    metric: Metric.Metric<Type, number, Out>,
    unit: string
  ) =>
  (labels: Labels): Update => {
    // one array for all updates: it is what the metric is found by
    const tags = [...labels, MetricLabel.make("unit", unit)]
    return (value) => metric.unsafeUpdate(value, tags)
  }

const counter = (name: string, unit: string, description: string) =>
  instrument(Metric.counter(name, { description, incremental: true }), unit)

const histogram = (name: string, unit: string, boundaries: ReadonlyArray<number>, description: string) =>
  instrument(Metric.histogram(name, MetricBoundaries.fromIterable(boundaries), description), unit)

// the boundaries of the conventions
const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const tokens = Array.from({ length: 14 }, (_, i) => 4 ** i)

const instruments = {
  tokenUsage: histogram(
    "gen_ai.client.token.usage",
    "{token}",
    tokens,
    "Number of input and output tokens used."
  ),
  operationDuration: histogram(
    "gen_ai.client.operation.duration",
    "s",
    seconds,
    "GenAI operation duration: of a request that was sent, with its waits and retries."
  ),
  requests: counter("floodgate.requests", "{request}", "Requests that have their outcome."),
  attempts: counter("floodgate.attempts", "{attempt}", "HTTP calls made, by how they ended."),
  attemptDuration: histogram(
    "floodgate.attempt.duration",
    "s",
    seconds,
    "Duration of the HTTP calls that brought an answer."
  ),
  retries: counter("floodgate.retries", "{attempt}", "Attempts that were not the first of their request."),
  hedges: counter("floodgate.hedges", "{attempt}", "Second attempts beside a late one."),
  wait: histogram(
    "floodgate.request.wait",
    "s",
    [...seconds, 163.84, 327.68, 655.36, 1310.72, 2621.44],
    "From the start of a request to its first attempt."
  ),
  cost: counter("floodgate.cost", "{USD}", "What attempts cost, in US dollars."),
  wasted: counter(
    "floodgate.cost.wasted",
    "{USD}",
    "The part of the cost that is no request's answer, in US dollars."
  ),
  saved: counter(
    "floodgate.cost.saved",
    "{USD}",
    "What answers that nobody was asked for would have cost, in US dollars."
  ),
  unpriced: counter(
    "floodgate.unpriced",
    "{attempt}",
    "Attempts that used tokens of a model without a price."
  )
}

/** Beyond so many kinds of event, models are told as one: each kind is a series for the backend. */
const mostKinds = 500
const others = "(others)"

const labelsOf = (fields: Readonly<Record<string, string | undefined>>): Labels => {
  const labels: Array<MetricLabel.MetricLabel> = []
  for (const key in fields) {
    const value = fields[key]
    if (value !== undefined && value !== "") labels.push(MetricLabel.make(key, value))
  }
  return labels
}

/** Makes the updates of each kind of event once, under the labels that are given to all. */
const kinds = <Kind extends { readonly model: string; readonly answeredBy: string }, Updates>(
  make: (kind: Kind) => Updates
): ((key: string, kind: () => Kind) => Updates) => {
  const known = new Map<string, Updates>()
  const add = (key: string, kind: Kind): Updates => {
    const updates = make(kind)
    known.set(key, updates)
    return updates
  }
  return (key, kindOf) => {
    const updates = known.get(key)
    if (updates !== undefined) return updates
    const kind = kindOf()
    if (known.size < mostKinds) return add(key, kind)
    const model = kind.model === "" ? "" : others
    const answeredBy = kind.answeredBy === "" ? "" : others
    const merged: Kind = { ...kind, model, answeredBy }
    const mergedKey = JSON.stringify(merged)
    return known.get(mergedKey) ?? add(mergedKey, merged)
  }
}

const attemptKind = ({ domain, endpoint, model, outcome, provider, request, response }: AttemptEvent) => ({
  tag: request._tag,
  provider,
  model,
  answeredBy: response?.model ?? "",
  endpoint,
  domain,
  outcome
})

const requestKind = ({ error, origin, outcome, request, response }: RequestEvent) => ({
  tag: request._tag,
  provider: response?.provider ?? error?.provider ?? "",
  model: request.model ?? response?.model ?? "",
  answeredBy: response?.model ?? "",
  origin,
  outcome
})

const dollars = (update: Update, cost: Money | "unpriced" | undefined): void => {
  if (typeof cost === "bigint") update(toDollars(cost))
}

/** What is billed, as the conventions want it, where the server stated it. */
const billed = ({ billedInputTokens, billedOutputTokens, inputTokens, outputTokens }: Usage) => ({
  input: billedInputTokens ?? inputTokens,
  output: billedOutputTokens ?? outputTokens
})

const make = (labels: Labels): Observer => {
  const attempts = kinds((kind: ReturnType<typeof attemptKind>) => {
    const operation = { "gen_ai.operation.name": operationName(kind.tag) }
    const asked = {
      ...operation,
      "gen_ai.provider.name": providerName(kind.provider),
      "gen_ai.request.model": kind.model
    }
    const answered = { ...asked, "gen_ai.response.model": kind.answeredBy }
    const at = { ...asked, "floodgate.endpoint": kind.endpoint }
    const under = (fields: Readonly<Record<string, string>>) => [...labelsOf(fields), ...labels]
    return {
      input: instruments.tokenUsage(under({ ...answered, "gen_ai.token.type": "input" })),
      output: instruments.tokenUsage(under({ ...answered, "gen_ai.token.type": "output" })),
      attempts: instruments.attempts(under({ ...at, "floodgate.outcome": kind.outcome })),
      duration: instruments.attemptDuration(under(at)),
      retries: instruments.retries(under(at)),
      hedges: instruments.hedges(under(at)),
      wait: instruments.wait(under({ ...operation, "floodgate.domain": kind.domain })),
      cost: instruments.cost(under(asked)),
      wasted: instruments.wasted(under(asked)),
      unpriced: instruments.unpriced(under(asked)),
      hasOutput: kind.tag === "Chat" || kind.tag === "Completion"
    }
  })
  const updatesOf = (event: AttemptEvent) => {
    const { domain, endpoint, model, outcome, provider, request, response } = event
    const key = `${request._tag}\n${provider}\n${model}\n${response?.model}\n${endpoint}\n${domain}\n${outcome}`
    return attempts(key, () => attemptKind(event))
  }

  const requests = kinds((kind: ReturnType<typeof requestKind>) => {
    const operation = { "gen_ai.operation.name": operationName(kind.tag) }
    const asked = {
      ...operation,
      "gen_ai.provider.name": providerName(kind.provider),
      "gen_ai.request.model": kind.model
    }
    const { outcome } = kind
    const error = outcome === "answered" ? undefined : outcome
    const under = (fields: Readonly<Record<string, string | undefined>>) => [...labelsOf(fields), ...labels]
    return {
      requests: instruments.requests(
        under({ ...operation, "floodgate.origin": kind.origin, "floodgate.outcome": outcome })
      ),
      duration: instruments.operationDuration(
        under({ ...asked, "gen_ai.response.model": kind.answeredBy, "error.type": error })
      ),
      saved: instruments.saved(under(asked))
    }
  })

  return {
    attempt: (event) => {
      const { attempt, cost, hedge, journey, latencyMs, outcome, usage } = event
      const updates = updatesOf(event)
      updates.attempts(1)
      if (outcome === "answered") updates.duration(latencyMs / 1_000)
      if (hedge) updates.hedges(1)
      else if (attempt > 1) updates.retries(1)
      else if (journey !== undefined) updates.wait((event.at - latencyMs - journey.start) / 1_000)
      if (usage === undefined) return
      if (usage.estimated !== true) {
        const { input, output } = billed(usage)
        updates.input(input)
        if (updates.hasOutput) updates.output(output)
      }
      if (cost === "unpriced") updates.unpriced(1)
      else dollars(updates.cost, cost)
      if (outcome !== "answered") dollars(updates.wasted, cost)
    },
    wasted: (event) => dollars(updatesOf(event).wasted, event.cost),
    request: (event) => {
      const { error, latencyMs, origin, outcome, request, response, saved } = event
      const provider = response?.provider ?? error?.provider
      const model = request.model ?? response?.model
      const key = `${request._tag}\n${provider}\n${model}\n${response?.model}\n${origin}\n${outcome}`
      const updates = requests(key, () => requestKind(event))
      updates.requests(1)
      if (event.attempts > 0) updates.duration(latencyMs / 1_000)
      // of rows of an earlier run it was told by that one
      if (origin !== "checkpoint") dollars(updates.saved, saved)
    }
  }
}

// by the labels of the fiber, which are the same array for most
const observers = new WeakMap<Labels, Observer>()

/** Counts the requests of a fiber, under its own metric labels besides. */
export const observer: Effect.Effect<Observer> = Effect.map(
  FiberRef.get(FiberRef.currentMetricLabels),
  (labels) => {
    const known = observers.get(labels)
    if (known !== undefined) return known
    const observer = make(labels)
    observers.set(labels, observer)
    return observer
  }
)
