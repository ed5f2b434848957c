/** What `floodgate chat` does: reads a line, does what it says, until there are no more. */
import { homedir } from "node:os"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Configured } from "../internal/configServices.js"
import { writeReasonOf } from "../internal/fileReason.js"
import * as Media from "../Media.js"
import * as Message from "../Message.js"
import type { ChatFields } from "../Request.js"
import { toMessage } from "../Response.js"
import { CliError } from "./CliError.js"
import type { ChatFlags } from "./chatCommand.js"
import * as Conversation from "./chatConversation.js"
import * as Draft from "./chatDraft.js"
import * as ChatLine from "./chatLine.js"
import { inputError } from "./inputFile.js"
import * as OneRequest from "./oneRequest.js"
import { add, failureLine, nothing, remarks, sumLine, usageLine } from "./oneRequestTold.js"
import * as TerminalAnswer from "./terminalAnswer.js"
import * as TerminalLines from "./terminalLines.js"
import { dim, plain, remark } from "./terminalText.js"

const prompts = { first: "> ", further: "… " }

/** `~` is the shell's, which does not see what is typed here. */
const pathOf = (path: string): string => path.replace(/^~(?=\/)/, homedir())

const readText = (path: string): Effect.Effect<string, CliError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.mapError(fs.readFileString(path), inputError(path)))

const readConversation = (
  path: string
): Effect.Effect<Conversation.Conversation, CliError, FileSystem.FileSystem> =>
  Effect.flatMap(readText(path), (text) =>
    Either.mapLeft(
      Conversation.fromJson(text),
      (message) => new CliError({ message: `${path} is ${message}` })
    )
  )

/** Writes a conversation over nothing but another one. */
const save = (
  path: string,
  conversation: Conversation.Conversation
): Effect.Effect<void, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (yield* Effect.orElseSucceed(fs.exists(path), () => false)) {
      yield* Effect.mapError(
        readConversation(path),
        () =>
          new CliError({ message: `${path} is there already, and is no conversation: choose another name` })
      )
    }
    yield* Effect.mapError(
      fs.writeFileString(path, Conversation.toJson(conversation)),
      (error) => new CliError({ message: `${path} cannot be written: ${writeReasonOf(error)}`, cause: error })
    )
  })

const mostRemembered = 1_000

/** Lines of earlier times, the newest first. */
const readHistory = (path: string | undefined) =>
  path === undefined
    ? Effect.succeed([])
    : Effect.flatMap(FileSystem.FileSystem, (fs) =>
        Effect.matchEffect(fs.readFileString(path), {
          onFailure: (error) =>
            error._tag === "SystemError" && error.reason === "NotFound"
              ? Effect.succeed([])
              : Effect.fail(new CliError({ message: `--history: ${inputError(path)(error).message}` })),
          onSuccess: (text) =>
            Effect.succeed(
              text
                .split("\n")
                .filter((line) => line !== "")
                .reverse()
            )
        })
      )

/** What is typed is nobody else's business. */
const writeHistory = (path: string, lines: ReadonlyArray<string>) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    fs.writeFileString(
      path,
      lines
        .slice(0, mostRemembered)
        .reverse()
        .map((line) => `${line}\n`)
        .join(""),
      { mode: 0o600 }
    )
  )

/** The models of the endpoints, for people. */
const modelsOf = ({ endpoints }: Configured): string =>
  [...new Set(endpoints.flatMap(({ options: { model } }) => model ?? []))].join(", ")

/** A chat with all that belongs to it; it changes as it goes on. */
interface Session {
  readonly ask: OneRequest.Ask
  readonly configured: Configured
  readonly parameters: Omit<ChatFields, "messages">
  readonly lines: TerminalLines.Lines
  readonly flags: ChatFlags
  /** Whether somebody sits there. */
  readonly isTerminal: boolean
  conversation: Conversation.Conversation
  used: typeof nothing
  /** Whether anything could not be done. */
  hasFailed: boolean
}

const say = (text: string): void => remark(process.stderr, text)

const show = (text: string): void => void process.stdout.write(text)

/** Asks, and shows the answer. Ctrl-C stops it; what was said until then stays. */
const ask = (
  session: Session,
  before: Conversation.Conversation,
  asked: Message.UserMessage
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { flags, lines, parameters } = session
    const { stderr, stdout } = process
    // until there is an answer it is a question without one
    session.conversation = Conversation.failed(before, asked)
    const request = Conversation.request(before, asked, parameters)
    if (Either.isLeft(request)) {
      session.hasFailed = true
      return say(request.left.message)
    }
    const shown = TerminalAnswer.make({ stdout, stderr, showThinking: flags.showThinking })
    const streams = stdout.isTTY === true
    const call = streams ? session.ask(request.right, shown.onPart) : session.ask(request.right)
    const answer = yield* Effect.raceFirst(
      Effect.asSome(call),
      Effect.as(lines.interrupted, Option.none())
    ).pipe(Effect.ensuring(Effect.sync(shown.end)))
    if (Option.isNone(answer)) {
      const text = shown.text()
      if (text !== "") session.conversation = Conversation.answered(before, asked, Message.assistant(text))
      session.used = { ...session.used, stopped: session.used.stopped + 1 }
      return say("stopped; /retry asks again")
    }
    const { meta, outcome } = answer.value
    session.used = add(session.used, answer.value)
    if (Either.isLeft(outcome)) {
      session.hasFailed = true
      return say(`${failureLine(outcome.left)} (/retry asks again)`)
    }
    const response = outcome.right
    if (!streams) {
      if (flags.showThinking && response.reasoning !== undefined) {
        stderr.write(`${dim(stderr, plain(response.reasoning.trimEnd()))}\n\n`)
      }
      show(response.text.endsWith("\n") ? response.text : `${response.text}\n`)
    }
    for (const text of remarks(response)) say(text)
    if (flags.verbose) say(usageLine(response, meta))
    // providers refuse turns that say nothing
    if (response.text === "") session.hasFailed = true
    else session.conversation = Conversation.answered(before, asked, toMessage(response))
  })

/** Does what a line says; whether the chat goes on. */
const follow = (
  session: Session,
  line: ChatLine.Line
): Effect.Effect<boolean, CliError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { conversation } = session
    switch (line._tag) {
      case "Text":
        if (line.text === "") return true
        yield* ask(session, conversation, Conversation.question(conversation, line.text))
        return true
      case "Help":
        show(ChatLine.help)
        return true
      case "Model": {
        if (line.name !== undefined) session.conversation = { ...conversation, model: line.name }
        const model = session.conversation.model ?? modelsOf(session.configured)
        say(line.name === undefined ? `the model is ${model}` : `the model is now ${model}`)
        return true
      }
      case "System": {
        if (line.text === undefined) say(conversation.system ?? "there are no standing instructions")
        else {
          session.conversation = { ...conversation, system: line.text === "off" ? undefined : line.text }
          say(
            line.text === "off"
              ? "no standing instructions any more"
              : "these are the standing instructions now"
          )
        }
        return true
      }
      case "Clear":
        session.conversation = Conversation.cleared(conversation)
        say("the conversation is forgotten")
        return true
      case "Retry": {
        const last = Conversation.back(conversation)
        if (last === undefined) say("nothing was asked yet")
        else yield* ask(session, last.before, last.asked)
        return true
      }
      case "Undo": {
        const last = Conversation.back(conversation)
        if (last !== undefined) session.conversation = last.before
        say(last === undefined ? "nothing was asked yet" : "the last question is forgotten")
        return true
      }
      case "Save": {
        const path = pathOf(line.path)
        yield* save(path, conversation)
        say(`saved to ${path}`)
        return true
      }
      case "Load": {
        const path = pathOf(line.path)
        const loaded = yield* readConversation(path)
        session.conversation = { ...loaded, model: loaded.model ?? conversation.model }
        say(`${loaded.messages.length} messages from ${path}`)
        return true
      }
      case "Image": {
        const source = /^\w+:/.test(line.source) ? line.source : pathOf(line.source)
        const image = yield* Effect.mapError(Media.image(source), ({ message }) => new CliError({ message }))
        session.conversation = { ...conversation, attached: [...conversation.attached, image] }
        say("it goes with the next question")
        return true
      }
      case "Usage":
        say(sumLine(session.used))
        return true
      case "Exit":
        return false
      case "Mistake":
        return yield* new CliError({ message: line.message })
    }
  })

/** Reads and follows lines until the end of them. */
const converse = (session: Session): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    let draft = Draft.empty
    let isLeaving = false
    const told = (text: string) =>
      // what goes wrong is said, and the chat goes on
      Effect.catchAll(follow(session, ChatLine.parse(text)), ({ message }) =>
        Effect.sync(() => {
          session.hasFailed = true
          say(message)
          return true
        })
      )
    for (;;) {
      const event = yield* session.lines.next(Draft.isEmpty(draft) ? prompts.first : prompts.further)
      if (event._tag === "End") {
        // on a line of its own is what follows
        if (session.isTerminal) show("\n")
        // the end of a pipe ends what it carries
        else if (!Draft.isEmpty(draft)) yield* told(Draft.textOf(draft))
        return
      }
      if (event._tag === "Interrupt") {
        const isIdle = event.isEmpty && Draft.isEmpty(draft)
        if (isIdle && isLeaving) return
        if (isIdle) say("Ctrl-C again, or Ctrl-D, leaves")
        isLeaving = isIdle
        draft = Draft.empty
        continue
      }
      isLeaving = false
      const added = Draft.add(draft, event.text)
      draft = added.draft ?? Draft.empty
      if (added.text !== undefined && !(yield* told(added.text))) return
    }
  })

/** The exit code: 0, or 1 where something that came through a pipe could not be done. */
export const runChat = (
  flags: ChatFlags
): Effect.Effect<number, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true
    const parameters = yield* OneRequest.parametersOf(flags)
    // the same words may be said twice and be answered otherwise
    const uncached = flags.cache === undefined ? { cache: "off", "cache-mode": "bypass" } : {}
    const configured = yield* OneRequest.settingsOf(flags, uncached)
    const loaded = flags.load === undefined ? Conversation.empty : yield* readConversation(flags.load)
    const path = flags.history
    const history = yield* readHistory(path)
    const asker = yield* OneRequest.make(configured, say)
    const lines = yield* TerminalLines.make({
      stdin: process.stdin,
      stdout: process.stdout,
      isTerminal,
      history,
      complete: ChatLine.complete
    })
    if (path !== undefined && isTerminal) {
      yield* Effect.addFinalizer(() =>
        Effect.catchAll(
          Effect.flatMap(Effect.sync(lines.history), (typed) => writeHistory(path, typed)),
          (error) => Effect.sync(() => say(`--history: cannot write ${path}: ${writeReasonOf(error)}`))
        )
      )
    }
    const session: Session = {
      ask: asker,
      configured,
      parameters,
      lines,
      flags,
      isTerminal,
      conversation: {
        ...loaded,
        model: flags.model === undefined ? loaded.model : undefined,
        system: flags.system ?? loaded.system
      },
      used: nothing,
      hasFailed: false
    }
    for (const warning of OneRequest.warningsOf(configured, flags)) say(warning)
    if (isTerminal) {
      const model = session.conversation.model ?? modelsOf(configured)
      say(`${model === "" ? "" : `${model}. `}/help tells the commands, Ctrl-D leaves`)
    }
    yield* converse(session)
    if (flags.verbose && session.used.answers > 1) say(sumLine(session.used))
    return session.hasFailed && !isTerminal ? 1 : 0
  }).pipe(OneRequest.quietly(flags))
