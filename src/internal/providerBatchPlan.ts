/**
 * Requests as lines of jobs. A line is named by the cache key of its request: equal requests share one, and results
 * find their requests whatever the order, the job, or the run that reads them. Each text of an embedding is a line of
 * its own, as the cache has it.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Mode } from "../Cache.js"
import type { Endpoint } from "../Endpoint.js"
import { type LlmError, RequestTooLargeError } from "../LlmError.js"
import { fromInput, type Request, type RequestInput, withFields } from "../Request.js"
import type * as Router from "../Router.js"
import { cacheKey } from "./cacheKey.js"
import { modeOf } from "./cacheMode.js"
import { areApart } from "./completer.js"
import type { Batches, Prepared } from "./providerBatches.js"
import { fill } from "./requestDefaults.js"
import * as SchemaCheck from "./schemaCheck.js"

/** Where jobs go. */
export interface Target {
  readonly endpoint: Endpoint
  readonly batches: Batches
}

/** One line: a question that has one answer. */
export interface Unit {
  readonly id: string
  /** The cache key. */
  readonly key: string
  readonly request: Request
  readonly check: SchemaCheck.Check | undefined
  readonly target: Target
  readonly prepared: Prepared
  readonly bytes: number
}

/** One request of the input. */
export interface Entry {
  /** Absent where the input cannot be read as a request. */
  readonly request: Request | undefined
  /** The cache key, where there is one. */
  readonly key: string | undefined
  readonly check: SchemaCheck.Check | undefined
  /** The lines that answer it, or why it cannot be asked. */
  readonly ids: Either.Either<ReadonlyArray<string>, LlmError>
}

export interface Plan {
  readonly entries: ReadonlyArray<Entry>
  readonly units: ReadonlyMap<string, Unit>
}

export interface Options {
  readonly router: typeof Router.Router.Service
  /** Where the requests of a task may go, or why they cannot. */
  readonly targetOf: (request: Request, task: string | undefined) => Either.Either<Target, LlmError>
  readonly task: string | undefined
  readonly mode: Mode | undefined
}

/** What a line has around its body, at most. */
const envelopeBytes = 300

const nameOf = (key: string, occurrence: number): string => (occurrence === 0 ? key : `${key}-${occurrence}`)

/** The requests as lines. What an endpoint does not take is found here, before anything is sent. */
export const make = (
  inputs: Iterable<RequestInput>,
  { mode, router, targetOf, task }: Options
): Effect.Effect<Plan> =>
  Effect.gen(function* () {
    const units = new Map<string, Unit>()
    const failures = new Map<string, LlmError>()
    const occurrences = new Map<string, number>()

    /** The line of a question; under `bypass` each question is asked for itself. */
    const unitOf = (request: Request, source: string): Effect.Effect<string, LlmError> =>
      Effect.gen(function* () {
        const key = cacheKey({ request, source })
        const target = yield* targetOf(request, request.task ?? task)
        const occurrence = occurrences.get(key) ?? 0
        if (modeOf(request, mode) === "bypass") occurrences.set(key, occurrence + 1)
        const id = nameOf(key, occurrence)
        if (units.has(id)) return id
        const place = `${target.endpoint.id}\n${key}`
        const failure = failures.get(place)
        if (failure !== undefined) return yield* Effect.fail(failure)
        const filled = fill(request, target.endpoint.parameters)
        const prepared = yield* Effect.tapError(target.batches.prepare(filled, target.endpoint), (error) =>
          Effect.sync(() => failures.set(place, error))
        )
        const bytes = Buffer.byteLength(prepared.body) + envelopeBytes
        if (bytes > target.batches.maxBytes) {
          return yield* new RequestTooLargeError({
            provider: target.endpoint.provider,
            message: `The request is larger than a whole batch job may be (${bytes} bytes); nothing was sent`
          })
        }
        units.set(id, { id, key, request, check: SchemaCheck.of(request), target, prepared, bytes })
        return id
      })

    const entryOf = (input: RequestInput): Effect.Effect<Entry> =>
      Effect.gen(function* () {
        const given = Either.flatMap(fromInput(input), SchemaCheck.admit)
        const resolved = yield* Effect.either(
          Effect.flatMap(given, (request) => router.resolve(request, request.task ?? task))
        )
        if (Either.isLeft(resolved)) {
          return {
            request: Either.getOrUndefined(given),
            key: undefined,
            check: undefined,
            ids: Either.left(resolved.left)
          }
        }
        const { request, source } = resolved.right
        const parts =
          request._tag === "Embedding" && areApart(request)
            ? request.input.map((text) => withFields<Request>(request, { input: [text] }))
            : [request]
        const ids = yield* Effect.either(Effect.forEach(parts, (part) => unitOf(part, source)))
        return { request, key: cacheKey(resolved.right), check: SchemaCheck.of(request), ids }
      })

    const entries = yield* Effect.forEach(inputs, entryOf)
    return { entries, units }
  })

/**
 * The lines in groups that one job may hold: of one endpoint, model and kind of call, and within the provider's limits.
 */
export const chunks = (
  units: Iterable<Unit>,
  maxRequests: number | undefined
): ReadonlyArray<readonly [Unit, ...ReadonlyArray<Unit>]> => {
  const done: Array<[Unit, ...Array<Unit>]> = []
  const filling = new Map<string, { readonly units: [Unit, ...Array<Unit>]; bytes: number }>()
  for (const unit of units) {
    const { bytes, prepared, target } = unit
    const group = `${target.endpoint.id}\n${prepared.model}\n${prepared.path}`
    const most = Math.max(1, Math.min(maxRequests ?? Number.POSITIVE_INFINITY, target.batches.maxRequests))
    const chunk = filling.get(group)
    if (chunk === undefined || chunk.units.length >= most || chunk.bytes + bytes > target.batches.maxBytes) {
      const fresh: [Unit, ...Array<Unit>] = [unit]
      done.push(fresh)
      filling.set(group, { units: fresh, bytes })
    } else {
      chunk.units.push(unit)
      chunk.bytes += bytes
    }
  }
  return done
}

/** A name that no other job has. */
export const newKey = (units: ReadonlyArray<Unit>, now: number, random: number): string =>
  `floodgate-${createHash("sha256")
    .update(`${now} ${random} ${process.pid} ${units[0]?.id ?? ""} ${units.length}`)
    .digest("base64url")
    .slice(0, 22)}`
