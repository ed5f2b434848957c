/**
 * The paths under `/__`, for people and tests, not part of any provider's wire:
 *
 * - `GET /__log` gives the billing log as JSON lines; `?since=12` only entries after number 12;
 *   `?summary=1` the counts instead
 * - `DELETE /__log` forgets log and counts
 * - `POST /__control` with `{ "limits": …, "faults": […], "script": […] }` changes behaviour from now on;
 *   what is left out stays as it is
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import type { BillingLog } from "./BillingLog.js"
import type { Engine } from "./Engine.js"
import { readChange } from "./OptionsJson.js"

/** Answers a request under `/__`. `query` is empty or begins with a question mark. */
export type Control = (
  method: string,
  path: string,
  query: string,
  text: string | undefined
) => Effect.Effect<HttpServerResponse.HttpServerResponse>

const json = (status: number, value: unknown) =>
  HttpServerResponse.text(JSON.stringify(value), { status, contentType: "application/json" })

// Lines go out in batches: a log of a million entries is never one string.
const batches = function* (log: BillingLog, since: number) {
  let text = ""
  for (const entry of log.entries(since)) {
    text += `${JSON.stringify(entry)}\n`
    if (text.length > 65_536) {
      yield text
      text = ""
    }
  }
  if (text !== "") yield text
}

/** Makes the control door of a simulator. */
export const make = (engine: Engine, log: BillingLog): Control => {
  const change = (text: string | undefined) => {
    const read = readChange(text ?? "")
    if (Either.isLeft(read)) return json(400, { error: read.left.message })
    const next = read.right
    if (next.limits !== undefined) engine.setLimits(next.limits)
    if (next.faults !== undefined) engine.setFaults(next.faults)
    if (next.script !== undefined) engine.setScript(next.script)
    return json(200, { changed: Object.keys(next) })
  }
  return (method, path, query, text) =>
    Effect.sync(() => {
      if (method === "GET" && path === "/__log") {
        const params = new URLSearchParams(query)
        if (params.get("summary") === "1") return json(200, log.summary())
        const lines = Stream.fromIterable(batches(log, Number(params.get("since") ?? 0) || 0))
        return HttpServerResponse.stream(Stream.encodeText(lines), { contentType: "application/jsonl" })
      }
      if (method === "DELETE" && path === "/__log") {
        log.reset()
        return json(200, { reset: true })
      }
      if (method === "POST" && path === "/__control") return change(text)
      return json(404, { error: "GET or DELETE /__log, POST /__control" })
    })
}
