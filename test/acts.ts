/** Endpoints that act as a test says, behind a router, on the test's clock. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Cache, Chat, LlmError, Providers, RateLimiter, Response, Router, Throttle } from "floodgate"

const fields = { provider: "p", message: "no" }

export const failures = {
  fields,
  serverError: new LlmError.ServerError({ ...fields, status: 500 }),
  authError: new LlmError.AuthError({ ...fields, status: 401 })
}

/** What an endpoint does: takes this long, and then fails, or answers with its id. */
export interface Act {
  readonly millis?: number
  readonly error?: LlmError.LlmError | undefined
}

type Acts = Readonly<Record<string, (now: number, turn: number) => Act>>

interface Options extends Omit<Router.Options, "endpoints"> {
  readonly limits?: RateLimiter.Options["domains"]
  readonly windows?: Readonly<Record<string, number>>
}

/** Endpoints that act, each call with its time. */
export const pool = (acts: Acts, { limits, windows, ...options }: Options = {}) => {
  const calls: Array<{ readonly id: string; readonly at: number; readonly text: string }> = []
  /** The endpoints whose calls were given up. */
  const givenUp: Array<string> = []
  const turns = new Map<string, number>()
  const provider: Providers.Provider = {
    name: "p",
    // no timer of its own: each costs the test clock some milliseconds
    attempt: (request, { id }) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const turn = turns.get(id) ?? 0
        turns.set(id, turn + 1)
        const text = request._tag === "Chat" ? String(request.messages[0]?.content) : ""
        calls.push({ id, at: now, text })
        const { error, millis = 0 } = acts[id]?.(now, turn) ?? {}
        if (millis > 0) {
          yield* Effect.onInterrupt(Effect.sleep(millis), () => Effect.sync(() => void givenUp.push(id)))
        }
        if (error !== undefined) return yield* error
        return Response.fromFields({
          text: `${text} from ${id}`,
          finishReason: "stop",
          toolCalls: [],
          usage: { inputTokens: 1, outputTokens: 1 },
          model: "m",
          provider: "p",
          meta: { attempts: 0, cached: false, latencyMs: 0 }
        })
      }).pipe(
        Effect.either,
        Effect.map((outcome) => ({ outcome, throttle: Throttle.none }))
      )
  }
  const [first = "a", ...rest] = Object.keys(acts)
  const endpoint = (id: string) => ({
    id,
    provider: "p",
    baseUrl: `p://${id}`,
    model: "m",
    contextWindow: windows?.[id]
  })
  const layer = Layer.mergeAll(
    Layer.succeed(Providers.Providers, Providers.make([provider])),
    Router.layer({ ...options, endpoints: [endpoint(first), ...rest.map(endpoint)] }),
    limits === undefined ? RateLimiter.layerUnlimited : RateLimiter.layer({ domains: limits }),
    Cache.layerNone
  )
  return { calls, givenUp, layer, ids: () => calls.map(({ id }) => id) }
}

export const requests = (count: number) => Array.from({ length: count }, (_, i) => Chat.prompt(`q${i}`))
