/**
 * Embeds texts one by one to those who ask, and many at a time to the provider. Texts that are asked for in the same
 * turn of the event loop, whatever request of a batch they belong to, share calls of the size that the provider takes;
 * each gets its own answer, so that each is cached by itself.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { Endpoint } from "../Endpoint.js"
import { InvalidRequestError, type LlmError } from "../LlmError.js"
import type * as Providers from "../Providers.js"
import { type Embedding, withFields } from "../Request.js"
import { type EmbeddingResponse, fromEncoded, type Response } from "../Response.js"
import type { Usage } from "../Usage.js"
import type { Story } from "./attempts.js"
import { canonicalJson, identityOf } from "./cacheKey.js"
import { endOfTurn } from "./endOfTurn.js"
import { tokensOf } from "./tokenEstimate.js"

/** How much one call may hold. */
export interface Limits {
  readonly inputs: number
  readonly tokens: number
}

/** The least of what the providers of these endpoints take in one call. */
export const limitsOf = (
  providers: typeof Providers.Providers.Service,
  endpoints: ReadonlyArray<Endpoint>
): Limits => {
  let inputs = Number.POSITIVE_INFINITY
  let tokens = Number.POSITIVE_INFINITY
  for (const { provider } of endpoints) {
    const { embeddingInputs = 100, embeddingTokens } = providers.get(provider) ?? {}
    inputs = Math.min(inputs, embeddingInputs)
    tokens = Math.min(tokens, embeddingTokens ?? Number.POSITIVE_INFINITY)
  }
  return { inputs, tokens }
}

/** A call that was made for several texts. */
export interface SharedCall {
  readonly story: Story
}

/** The answer to a part of a request, and the call it came with. */
export interface PartAnswer {
  readonly response: Response
  readonly call: SharedCall
}

export interface Embedded extends PartAnswer {
  readonly response: EmbeddingResponse
}

/** What is to be done before the first call with a part of a request; none where there is nothing to do. */
export type Begin = Effect.Effect<void, LlmError> | undefined

/** Makes a call, whatever retries it takes. */
export type Ask = (request: Embedding, story: Story, begin: Begin) => Effect.Effect<Response, LlmError>

/** One text, and who waits for its vector. */
interface Asker {
  readonly request: Embedding
  readonly text: string
  readonly begin: Begin
  readonly vector: Deferred.Deferred<Embedded, LlmError>
  /** Nobody waits any more. */
  left: boolean
  onLeave: (() => void) | undefined
}

export const newStory = (): Story => ({ attempts: 0, endpoint: undefined, failed: undefined, shown: false })

/** These askers, in calls that the provider takes. */
const chunks = (askers: ReadonlyArray<Asker>, limits: Limits): ReadonlyArray<ReadonlyArray<Asker>> => {
  const all: Array<Array<Asker>> = []
  let tokens = Number.POSITIVE_INFINITY
  for (const asker of askers) {
    const more = tokensOf(asker.text.length)
    const last = all.at(-1)
    if (last === undefined || last.length >= limits.inputs || tokens + more > limits.tokens) {
      all.push([asker])
      tokens = more
    } else {
      last.push(asker)
      tokens += more
    }
  }
  return all
}

/** A whole number in parts of these weights, whose sum is the whole. */
const apportion = (whole: number, weights: ReadonlyArray<number>): ReadonlyArray<number> => {
  const sum = weights.reduce((a, b) => a + b, 0)
  let weightSoFar = 0
  let given = 0
  return weights.map((weight) => {
    weightSoFar += weight
    const upTo = sum === 0 ? 0 : Math.round((whole * weightSoFar) / sum)
    const part = upTo - given
    given = upTo
    return part
  })
}

const split = (
  response: EmbeddingResponse,
  askers: ReadonlyArray<Asker>
): ReadonlyArray<EmbeddingResponse> => {
  const weights = askers.map(({ text }) => text.length + 1)
  const inputs = apportion(response.usage.inputTokens, weights)
  // the body belongs to all of them
  const { raw: _, ...common } = response
  return askers.map((_, index) => {
    const usage: Usage = { ...response.usage, inputTokens: inputs[index] ?? 0 }
    return fromEncoded({ ...common, embeddings: [response.embeddings[index] ?? []], usage })
  })
}

/** Errors that one text of many can be the cause of: asked apart, the others get their answers. */
const isOfOneText: ReadonlySet<LlmError["_tag"]> = new Set<LlmError["_tag"]>([
  "InvalidRequestError",
  "ContextLengthError",
  "RequestTooLargeError",
  "ContentFilterError"
])

/** Of all who ask, each to its end: what fails for one run is that run's. */
const beginAll = (askers: ReadonlyArray<Asker>): Begin => {
  const begins = new Set<Effect.Effect<void, LlmError>>()
  for (const { begin } of askers) if (begin !== undefined) begins.add(begin)
  return begins.size === 0
    ? undefined
    : Effect.flatMap(Effect.forEach(begins, Effect.either, { concurrency: "unbounded" }), (all) =>
        Effect.asVoid(Either.all(all))
      )
}

type Failure = Exit.Exit<never, LlmError>

const tagOf = (failure: Failure): LlmError["_tag"] | undefined =>
  Exit.isFailure(failure) && failure.cause._tag === "Fail" ? failure.cause.error._tag : undefined

/** What the texts of one call have in common. The task is no part of the question, but says where it may be asked. */
const kindOf = (request: Embedding): string =>
  canonicalJson([request.task ?? null, identityOf(withFields(request, { input: [] }))])

/** The call, for as long as one of these waits for it. */
const whileAwaited = (
  askers: ReadonlyArray<Asker>,
  call: Effect.Effect<Response, LlmError>
): Effect.Effect<Response, LlmError> =>
  Effect.raceFirst(
    call,
    Effect.async<never>((resume) => {
      let waiting = askers.filter(({ left }) => !left).length
      if (waiting === 0) resume(Effect.interrupt)
      for (const asker of askers) {
        asker.onLeave = () => {
          waiting--
          if (waiting === 0) resume(Effect.interrupt)
        }
      }
    })
  )

/**
 * A function for one text. A call belongs to all who ask, of this run or another: it goes on until it is answered, or
 * the last of them has left.
 */
export const make = (
  ask: Ask,
  limits: () => Limits
): ((request: Embedding, text: string, begin: Begin) => Effect.Effect<Embedded, LlmError>) => {
  const waiting = new Map<string, Array<Asker>>()

  const settle = (
    askers: ReadonlyArray<Asker>,
    of: (index: number) => Exit.Exit<Embedded, LlmError>
  ): void => {
    for (const [index, { vector }] of askers.entries()) Deferred.unsafeDone(vector, of(index))
  }

  /** Makes one call for these texts. The failure, where there is one, has not been told to anybody yet. */
  const attempt = (askers: readonly [Asker, ...Array<Asker>]): Effect.Effect<Failure | undefined> => {
    const story = newStory()
    const request = withFields(askers[0].request, { input: askers.map(({ text }) => text) })
    const call = whileAwaited(
      askers,
      Effect.suspend(() => ask(request, story, beginAll(askers)))
    )
    return Effect.map(Effect.exit(call), (exit) => {
      if (Exit.isFailure(exit)) return Exit.failCause(exit.cause)
      const response = exit.value
      if (response._tag !== "EmbeddingResponse" || response.embeddings.length !== askers.length) {
        return Exit.fail(
          new InvalidRequestError({
            provider: response.provider,
            message: `${askers.length} texts were sent, and vectors for another number of them came back`
          })
        )
      }
      const parts = split(response, askers)
      settle(askers, (index) => Exit.succeed({ response: parts[index] ?? response, call: { story } }))
      return undefined
    })
  }

  const tell = (askers: ReadonlyArray<Asker>, failure: Failure): void => settle(askers, () => failure)

  /** Makes a call for one text alone, tells what came of it, and says how it failed. */
  const probe = (asker: Asker): Effect.Effect<LlmError["_tag"] | undefined> =>
    Effect.map(attempt([asker]), (failure) => {
      if (failure !== undefined) tell([asker], failure)
      return failure === undefined ? undefined : tagOf(failure)
    })

  const call = (given: ReadonlyArray<Asker>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const [first, ...rest] = given.filter(({ left }) => !left)
      if (first === undefined) return Effect.void
      return Effect.flatMap(attempt([first, ...rest]), (failure) => {
        if (failure === undefined) return Effect.void
        const tag = tagOf(failure)
        const last = rest.at(-1)
        if (last === undefined || tag === undefined || !isOfOneText.has(tag)) {
          return Effect.sync(() => tell([first, ...rest], failure))
        }
        // two that fail alone in the same way are enough to say that it is not the texts: the rest is not asked
        return Effect.flatMap(Effect.zip(probe(first), probe(last)), ([one, other]) => {
          const others = rest.slice(0, -1)
          if (one === tag && other === tag) return Effect.sync(() => tell(others, failure))
          const middle = others.length >> 1
          return Effect.zipRight(call(others.slice(0, middle)), call(others.slice(middle)))
        })
      })
    })

  /** Once all who ask in this turn have asked. */
  const dispatch = (kind: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const askers = waiting.get(kind) ?? []
      waiting.delete(kind)
      return Effect.forEach(chunks(askers, limits()), call, { concurrency: "unbounded", discard: true })
    })

  /**
   * Uninterruptible from the entry to the fork: who is interrupted in between would leave others waiting for a call that
   * nobody makes. The fiber belongs to no run: it ends with the last who waits for it.
   */
  const begun = (kind: string, asker: Asker): Effect.Effect<void> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        const group = waiting.get(kind)
        if (group !== undefined) {
          group.push(asker)
          return Effect.void
        }
        waiting.set(kind, [asker])
        return Effect.forkDaemon(Effect.interruptible(Effect.zipRight(endOfTurn, dispatch(kind))))
      })
    )

  return (request, text, begin) =>
    Effect.suspend(() => {
      const kind = kindOf(request)
      const asker: Asker = {
        request,
        text,
        begin,
        vector: Deferred.unsafeMake(FiberId.none),
        left: false,
        onLeave: undefined
      }
      const answer = Effect.onInterrupt(Deferred.await(asker.vector), () =>
        Effect.sync(() => {
          asker.left = true
          asker.onLeave?.()
        })
      )
      const group = waiting.get(kind)
      if (group !== undefined) {
        group.push(asker)
        return answer
      }
      return Effect.zipRight(begun(kind, asker), answer)
    })
}
