/** What the wires without OpenAI's error texts look at in a body: values by kind, and what is wrong with them. */
import { isJsonObject } from "../internal/jsonObject.js"

/** A body as it was parsed, or an object in it. */
export type Body = Readonly<Record<string, unknown>>

/** A list; empty where there is none. */
export const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** An object; empty where there is none. */
export const record = (value: unknown): Body => (isJsonObject(value) ? value : {})

/** A number, if it is one. */
export const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined)

/** Fields that are not known. */
export const unknownFields = (body: Body, known: ReadonlySet<string>): ReadonlyArray<string> =>
  Object.keys(body).filter((name) => !known.has(name))

/** The least and the most that a number may be. */
export type Range = readonly [field: string, min: number, max: number]

/** The first number outside its range. */
export const outOfRange = (body: Body, ranges: ReadonlyArray<Range>): Range | undefined =>
  ranges.find(([field, min, max]) => {
    const value = body[field]
    return (
      value !== undefined && value !== null && !(typeof value === "number" && value >= min && value <= max)
    )
  })

/** The text of a part, or of content: a text, or parts of which some are. */
export const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : list(content)
        .map((part) => record(part)["text"])
        .map((text) => (typeof text === "string" ? text : ""))
        .join("")
