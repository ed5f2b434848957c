/**
 * The case that all others are compared with, in a module without floodgate, so that its memory is its own.
 */
import * as Effect from "effect/Effect"
import { Pool } from "undici"
import type { Ask, Case } from "./cases.js"
import { check, model, prompt } from "./prompts.js"

/** The least that a client can do: as many loops as calls in flight, over undici's pool. */
export const raw: Case = ({ concurrency, origin }) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Pool(origin, { connections: concurrency, pipelining: 1 })),
      (pool) => Effect.promise(() => pool.destroy())
    ),
    (pool): Ask =>
      (label, requests) =>
        Effect.promise(async () => {
          let next = 0
          const work = async () => {
            while (next < requests) {
              const index = next++
              const { body } = await pool.request({
                method: "POST",
                path: "/v1/chat/completions",
                headers: { "content-type": "application/json", authorization: "Bearer sk-bench" },
                body: JSON.stringify({ model, messages: [{ role: "user", content: prompt(label, index) }] })
              })
              check(label, index, JSON.parse(await body.text()).choices[0].message.content)
            }
          }
          await Promise.all(Array.from({ length: concurrency }, work))
        })
  )
