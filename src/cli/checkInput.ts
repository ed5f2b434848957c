/** Whether the input can be asked and the output is its own, found out before anything is paid for. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Checkpoint } from "../Checkpoint.js"
import { cacheKey } from "../internal/cacheKey.js"
import type * as Router from "../Router.js"
import type { Flags } from "./batchCommand.js"
import { wrong } from "./flags.js"
import * as InputFile from "./inputFile.js"
import * as Record from "./record.js"

/** What the flags say of every request. */
export const defaultsOf = (flags: Flags): Record.Defaults => ({
  prompt: flags.prompt,
  system: flags.system,
  parameters: {
    ...(flags.temperature === undefined ? undefined : { temperature: flags.temperature }),
    ...(flags.maxTokens === undefined ? undefined : { max_tokens: flags.maxTokens })
  }
})

/** How many bad lines are named before the run is refused. */
const namedLines = 5

/**
 * Reads the whole input once before anything is sent: a bad line is found now and not after an hour, and an output
 * that holds answers to other questions is not written into.
 */
export const checkInput = (
  path: string,
  flags: Flags,
  checkpoint: Context.Tag.Service<Checkpoint>,
  router: Router.Service
) =>
  Effect.gen(function* () {
    const defaults = defaultsOf(flags)
    const name = InputFile.nameOf(flags.input)
    const bad: Array<string> = []
    let badLines = 0
    let total = 0
    let withoutModel = 0
    const stored = checkpoint.found.success + checkpoint.found.failed
    let isForeign = stored > 0
    const hasDefaultModel = router.endpoints.every(({ model }) => model !== undefined)

    yield* Stream.runForEachChunk(InputFile.lines(path), (chunk) =>
      Effect.gen(function* () {
        for (const { number, text } of chunk) {
          const request = Record.fromLine(text, defaults)
          if (Either.isLeft(request)) {
            badLines++
            if (bad.length < namedLines) bad.push(`line ${number}: ${request.left}`)
            continue
          }
          total++
          if (request.right.model === undefined && !hasDefaultModel) withoutModel++
          else if (isForeign) {
            const resolved = yield* Effect.option(router.resolve(request.right))
            if (Option.isSome(resolved) && (yield* checkpoint.has(cacheKey(resolved.value))))
              isForeign = false
          }
        }
      })
    )
    if (badLines > 0) {
      const more = badLines > bad.length ? [`and ${badLines - bad.length} more`] : []
      return yield* wrong(
        [
          `${name}: ${badLines} bad ${badLines === 1 ? "line" : "lines"}. Nothing was sent`,
          ...bad,
          ...more
        ].join("\n  ")
      )
    }
    if (total === 0) return yield* wrong(`${name}: no requests in it`)
    const { prompt, system } = defaults
    if (total > 1 && prompt !== undefined && ![prompt, system ?? ""].some(Record.hasFields)) {
      const field = Record.singleBraced(prompt)
      const hint = field === undefined ? "" : `. Write {{${field}}}, not {${field}}`
      return yield* wrong(`--prompt has no {{field}}: all ${total} requests would ask the same${hint}`)
    }
    if (withoutModel > 0) {
      return yield* wrong(
        `No model: pass --model, set OPENAI_MODEL, or name one in each request (${withoutModel} have none)`
      )
    }
    if (isForeign) {
      return yield* wrong(
        `${flags.output} holds ${stored} outcomes, and none is of these requests (another input, model or parameter). It was not touched: choose another --output, or move that file away`
      )
    }
    return total
  })
