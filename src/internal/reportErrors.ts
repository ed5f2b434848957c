/** A few examples of each class of errors. */
import type { ErrorClass } from "./reportData.js"

type Example = ErrorClass["examples"][number]

const mostExamples = 4
const longest = 300

/** What messages of one kind have in common: numbers and ids differ from one to the next. */
const patternOf = (message: string): string => message.replace(/[\w-]*\d[\w-]*/g, "#").slice(0, 120)

export class ErrorExamples {
  readonly #examples = new Map<string, Map<string, Example>>()

  add(tag: string, example: Example): void {
    const ofTag = this.#examples.get(tag) ?? new Map<string, Example>()
    this.#examples.set(tag, ofTag)
    if (ofTag.size >= mostExamples) return
    const pattern = patternOf(example.message)
    if (!ofTag.has(pattern)) ofTag.set(pattern, { ...example, message: shorten(example.message, longest) })
  }

  of(tag: string): ReadonlyArray<Example> {
    return [...(this.#examples.get(tag)?.values() ?? [])]
  }
}

/** The beginning of a text, in whole characters. */
export const shorten = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\uD800-\uDBFF]$/, "")}…`
