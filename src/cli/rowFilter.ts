/** Which rows are asked: `--filter`. */
import * as Effect from "effect/Effect"
import type { JsonObject } from "../internal/jsonObject.js"
import { suggestion } from "../internal/nearest.js"
import { LlmError } from "../LlmError.js"
import type { CliError } from "./CliError.js"
import { wrong } from "./flags.js"
import { lookUp } from "./record.js"

/** What an earlier run has left of a request: an answer, a failure with the class of its error, or nothing. */
export interface Stored {
  readonly status: "success" | "error" | "none"
  readonly error?: string | undefined
}

/** All must hold of what is asked. */
export interface RowFilter {
  /** What it demands of the fields of a record. */
  readonly ofFields: (record: JsonObject) => boolean
  /** What it demands of the outcome of an earlier run; absent if nothing. */
  readonly ofStored: ((stored: Stored) => boolean) | undefined
}

const statuses: ReadonlyArray<string> = ["success", "error", "none"] satisfies ReadonlyArray<Stored["status"]>
const tags: ReadonlyArray<string> = LlmError.members.map((member) => member._tag)

/** Reaches a field of the record that has the name of something else. */
const recordPrefix = "record."

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" || value === undefined ? value : JSON.stringify(value)

/** `FIELD=VALUE` or `FIELD!=VALUE`; of the outcome `status` and `error`. */
const parseOne = (text: string): Effect.Effect<Partial<RowFilter>, CliError> => {
  const [, name = "", operator, value = ""] = /^([^=]*?)(!?=)(.*)$/s.exec(text) ?? []
  if (name.trim() === "") {
    return wrong(`--filter takes FIELD=VALUE or FIELD!=VALUE, such as status=error, not "${text}"`)
  }
  const field = name.trim()
  const isWanted = (found: string | undefined) => (found === value) === (operator === "=")
  if (field === "status") {
    return statuses.includes(value)
      ? Effect.succeed({ ofStored: ({ status }) => isWanted(status) })
      : wrong(
          `--filter status= is the outcome of an earlier run: success, error or none, not "${value}". A field of that name is record.status=${value}`
        )
  }
  if (field === "error") {
    return tags.includes(value)
      ? Effect.succeed({ ofStored: ({ error, status }) => status === "error" && isWanted(error) })
      : wrong(
          `--filter error= is a kind of error, such as RateLimitError, and not "${value}"${suggestion(value, tags)}. A field of that name is record.error=${value}`
        )
  }
  const path = field.startsWith(recordPrefix) ? field.slice(recordPrefix.length) : field
  return Effect.succeed({ ofFields: (record) => isWanted(textOf(lookUp(record, path))) })
}

export const parse = (texts: ReadonlyArray<string>): Effect.Effect<RowFilter, CliError> =>
  Effect.map(Effect.forEach(texts, parseOne), (all) => {
    const fields = all.flatMap(({ ofFields }) => (ofFields === undefined ? [] : [ofFields]))
    const stored = all.flatMap(({ ofStored }) => (ofStored === undefined ? [] : [ofStored]))
    return {
      ofFields: (record) => fields.every((holds) => holds(record)),
      ofStored: stored.length === 0 ? undefined : (outcome) => stored.every((holds) => holds(outcome))
    }
  })
