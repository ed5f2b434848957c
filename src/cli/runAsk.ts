/** What `floodgate ask` does: puts the prompt together, asks, and prints the answer. */
import { isUtf8 } from "node:buffer"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isJsonObject, type JsonObject } from "../internal/jsonObject.js"
import * as MediaType from "../internal/mediaType.js"
import { LlmError } from "../LlmError.js"
import * as Media from "../Media.js"
import * as Message from "../Message.js"
import { type Chat, chatFromFields } from "../Request.js"
import { type ChatResponse, type ObjectResponse, withMeta } from "../Response.js"
import * as StructuredOutput from "../StructuredOutput.js"
import * as AnswerSchema from "./answerSchema.js"
import type { AskFlags } from "./askCommand.js"
import { CliError } from "./CliError.js"
import { wrong } from "./flags.js"
import { inputError, standardInput } from "./inputFile.js"
import * as OneRequest from "./oneRequest.js"
import { failureLine, isGiven, lacksModel, remarks, usageLine } from "./oneRequestTold.js"
import { stdin } from "./stdin.js"
import * as TerminalAnswer from "./terminalAnswer.js"
import { dim, plain, remark } from "./terminalText.js"

/** More than any model reads. */
const mostPiped = 64 * 1024 * 1024

/** The text that is piped in; none where there is only a terminal. */
const piped = (isWanted: boolean): Effect.Effect<string, CliError> =>
  process.stdin.isTTY === true && !isWanted
    ? Effect.succeed("")
    : Effect.gen(function* () {
        let length = 0
        const blocks: Array<Uint8Array> = []
        yield* Stream.runForEach(stdin, (block) => {
          length += block.length
          blocks.push(block)
          return length > mostPiped
            ? wrong("More than 64 MiB came through the standard input: no model reads as much")
            : Effect.void
        }).pipe(
          Effect.mapError((error) =>
            error._tag === "CliError" ? error : inputError("the standard input")(error)
          )
        )
        const bytes = Buffer.concat(blocks)
        if (!isUtf8(bytes)) {
          return yield* wrong("What is piped in is no text; --image and --file take other files")
        }
        return bytes.toString("utf8").replace(/^\uFEFF/, "")
      })

/** A file beside the prompt: what it is, its bytes say. */
const filePart = (path: string): Effect.Effect<Message.Part, CliError, FileSystem.FileSystem> => {
  const said = Effect.mapError(
    ({ message }: { readonly message: string }) => new CliError({ message: `--file: ${message}` })
  )
  if (/^(https?|data):/i.test(path)) return said(Media.document(path))
  return Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const bytes = yield* Effect.mapError(
      fs.readFile(path),
      (error) => new CliError({ message: `--file: ${inputError(path)(error).message}` })
    )
    const type = yield* MediaType.of(bytes)
    if (type?.mime.startsWith("audio/")) return yield* said(Media.audio(path))
    if (type !== undefined && MediaType.images.includes(type.mime)) return yield* said(Media.image(path))
    if (type === undefined && bytes.length > 0 && isUtf8(bytes)) {
      return Message.text(`${path}:\n${Buffer.from(bytes).toString("utf8")}`)
    }
    return yield* said(Media.document(path))
  })
}

const imagePart = (source: string) =>
  Effect.mapError(Media.image(source), ({ message }) => new CliError({ message: `--image: ${message}` }))

/** The JSON Schema of `--schema`. */
const readSchema = (path: string): Effect.Effect<JsonObject, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(
      fs.readFileString(path),
      (error) => new CliError({ message: `--schema: ${inputError(path)(error).message}`, cause: error })
    )
    const value = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) =>
        new CliError({
          message: `--schema: ${path} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`
        })
    })
    return isJsonObject(value)
      ? value
      : yield* wrong(`--schema: ${path} holds no JSON Schema: that is an object such as {"type": "object"}`)
  })

const nothingToAsk = new CliError({
  message: `Nothing to ask. Write floodgate ask "a question", or pipe a text in; floodgate ask --help tells more`
})

/** The request that flags, files and what is piped in make together. */
const requestOf = (flags: AskFlags): Effect.Effect<Chat, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const parameters = yield* OneRequest.parametersOf(flags)
    const schema = flags.schema === undefined ? undefined : yield* readSchema(flags.schema)
    const images = yield* Effect.forEach(flags.image, imagePart)
    const files = yield* Effect.forEach(flags.file, filePart)
    const media = [...images, ...files]
    // a dash stands for the standard input, as everywhere
    const words = flags.prompt.filter((word) => word !== standardInput)
    const asked = words.join(" ").trim()
    if (
      process.stdin.isTTY === true &&
      words.length === flags.prompt.length &&
      asked === "" &&
      media.length === 0
    ) {
      return yield* nothingToAsk
    }
    const given = (yield* piped(words.length < flags.prompt.length)).trimEnd()
    const text = [asked, given].filter((part) => part.trim() !== "").join("\n\n")
    if (text === "" && media.length === 0) return yield* nothingToAsk
    const content = media.length === 0 ? text : [...(text === "" ? [] : [Message.text(text)]), ...media]
    const chat = yield* Either.mapLeft(
      chatFromFields({ ...parameters, messages: Message.conversation(content, { system: flags.system }) }),
      ({ message }) => new CliError({ message })
    )
    return schema === undefined ? chat : StructuredOutput.withSchema(chat, AnswerSchema.make(schema))
  })

/** Whether an answer has a value: where it was asked for with a schema. */
const hasValue = (response: ChatResponse): response is ObjectResponse<unknown> => "value" in response

/** The answer as data: all but the provider's own body. */
const dataOf = (response: ChatResponse): object => {
  const { _tag, meta, raw, ...fields } = response
  const { cost, ...rest } = meta
  return { ...fields, ...(cost === undefined ? undefined : { cost }), meta: rest }
}

/** Written when the system has taken it; whoever reads it may have left, which is no reason to complain. */
const print = (text: string): Effect.Effect<void> =>
  Effect.async<void>((resume) => void process.stdout.write(text, () => resume(Effect.void)))

const printJson = (value: unknown) => print(`${JSON.stringify(value, undefined, 2)}\n`)

const encodeError = Schema.encodeSync(LlmError)

/** The exit code: 0 answered, 1 no answer. */
export const runAsk = (
  flags: AskFlags
): Effect.Effect<number, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const { stderr, stdout } = process
    const configured = yield* OneRequest.settingsOf(flags, {
      "cache-ttl": flags.cacheTtl,
      namespace: flags.namespace,
      "cache-mode": flags.cacheMode
    })
    const chat = yield* requestOf(flags)
    const shown = TerminalAnswer.make({ stdout, stderr, showThinking: flags.showThinking })
    const streams = stdout.isTTY === true && !flags.noStream && !flags.json && flags.schema === undefined
    const say = stderr.isTTY === true || flags.verbose ? (text: string) => remark(stderr, text) : undefined
    const ask = yield* OneRequest.make(configured, say)
    for (const warning of OneRequest.warningsOf(configured, flags)) remark(stderr, warning)
    const { meta, outcome } = yield* Effect.ensuring(
      streams ? ask(chat, shown.onPart) : ask(chat),
      Effect.sync(shown.end)
    )
    if (Either.isLeft(outcome)) {
      const exitCode = lacksModel(outcome.left) ? 2 : 1
      // as data it is as all errors of the command line are
      const data = { error: { ...encodeError(outcome.left), command: "ask", exitCode } }
      stderr.write(flags.json ? `${JSON.stringify(data)}\n` : `floodgate: ${failureLine(outcome.left)}\n`)
      return exitCode
    }
    const response = withMeta(outcome.right, meta)
    if (!streams && flags.showThinking && !flags.json && response.reasoning !== undefined) {
      stderr.write(`${dim(stderr, plain(response.reasoning.trimEnd()))}\n\n`)
    }
    if (flags.json) yield* printJson(dataOf(response))
    else if (hasValue(response)) yield* printJson(response.value)
    else if (!streams && response.text !== "") {
      const text = stdout.isTTY === true ? plain(response.text) : response.text
      yield* print(text.endsWith("\n") ? text : `${text}\n`)
    }
    for (const text of remarks(response)) stderr.write(`floodgate: ${text}\n`)
    if (flags.verbose) remark(stderr, usageLine(response, meta))
    return isGiven(response) ? 0 : 1
  }).pipe(OneRequest.quietly(flags))
