/**
 * Lines that somebody types, with editing and history, or that come through a pipe.
 *
 * On a terminal one reader lives as long as the scope, and holds the terminal in raw mode: so Ctrl-C is a key and no
 * signal, and what is typed while an answer comes is there at the next prompt, instead of amid the answer.
 */
import * as readline from "node:readline"
import { Writable } from "node:stream"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/** What comes from whoever types. */
export type Event =
  | { readonly _tag: "Line"; readonly text: string }
  /** Ctrl-C at the prompt; what was typed on the line is taken back. */
  | { readonly _tag: "Interrupt"; readonly isEmpty: boolean }
  /** Ctrl-D, or the end of the pipe. */
  | { readonly _tag: "End" }

export interface Lines {
  /** The next event, asked for with this prompt. */
  readonly next: (prompt: string) => Effect.Effect<Event>
  /** Ends when Ctrl-C is pressed while no prompt is shown. In a pipe it never does: there Ctrl-C is a signal. */
  readonly interrupted: Effect.Effect<void>
  /** The lines that were typed, the newest first. */
  readonly history: () => ReadonlyArray<string>
}

/** What is read, and where prompts and what is typed are shown. */
export interface Streams {
  readonly stdin: NodeJS.ReadableStream
  readonly stdout: NodeJS.WritableStream & { readonly columns?: number | undefined }
}

export interface Options extends Streams {
  /** Whether somebody sits there. */
  readonly isTerminal: boolean
  /** Lines of earlier times, the newest first. */
  readonly history: ReadonlyArray<string>
  /** What a beginning can be completed to. */
  readonly complete: (typed: string) => ReadonlyArray<string>
}

const historySize = 1_000

const piped = ({ stdin }: Streams): Effect.Effect<Lines, never, Scope.Scope> =>
  Effect.gen(function* () {
    const events = yield* Mailbox.make<string>()
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        readline
          .createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY, terminal: false })
          .on("line", (line) => events.unsafeOffer(line))
          .on("close", () => events.unsafeDone(Exit.void))
      ),
      (reader) => Effect.sync(() => reader.close())
    )
    return {
      next: () =>
        Effect.match(events.take, {
          onFailure: (): Event => ({ _tag: "End" }),
          onSuccess: (text): Event => ({ _tag: "Line", text })
        }),
      interrupted: Effect.never,
      history: () => []
    }
  })

const typed = (options: Options): Effect.Effect<Lines, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { stdin, stdout } = options
    const events = yield* Mailbox.make<{ readonly event: Event; readonly wasShown: boolean }>()
    let isPrompting = false
    let onInterrupt: (() => void) | undefined
    let history: ReadonlyArray<string> = options.history
    // what is typed is only shown where a prompt is
    const screen = Object.defineProperties(
      new Writable({
        write: (chunk, _encoding, done) => {
          if (isPrompting) stdout.write(chunk)
          done()
        }
      }),
      { columns: { get: () => stdout.columns } }
    )
    const onResize = () => screen.emit("resize")
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => {
        stdout.on("resize", onResize)
        return readline.createInterface({
          input: stdin,
          output: screen,
          terminal: true,
          history: [...options.history],
          historySize,
          removeHistoryDuplicates: true,
          completer: (text: string) => [[...options.complete(text)], text]
        })
      }),
      // leaves raw mode
      (reader) =>
        Effect.sync(() => {
          stdout.off("resize", onResize)
          reader.close()
        })
    )
    const offer = (event: Event) => events.unsafeOffer({ event, wasShown: isPrompting })
    reader
      .on("history", (lines: ReadonlyArray<string>) => {
        history = [...lines]
      })
      .on("line", (text) => offer({ _tag: "Line", text }))
      .on("close", () => offer({ _tag: "End" }))
      .on("SIGINT", () => {
        if (onInterrupt !== undefined) return onInterrupt()
        const isEmpty = reader.line === ""
        if (isPrompting) stdout.write("^C\n")
        isPrompting = false
        // the keys that take back a line
        reader.write(null, { ctrl: true, name: "e" })
        reader.write(null, { ctrl: true, name: "u" })
        offer({ _tag: "Interrupt", isEmpty })
      })
    return {
      next: (prompt) =>
        Effect.gen(function* () {
          const waiting = yield* events.size
          if (Option.contains(waiting, 0)) {
            isPrompting = true
            reader.setPrompt(prompt)
            reader.prompt(true)
          }
          const { event, wasShown } = yield* Effect.orDie(events.take)
          isPrompting = false
          // typed ahead
          if (!wasShown && event._tag === "Line") stdout.write(`${prompt}${event.text}\n`)
          return event
        }),
      interrupted: Effect.async<void>((resume) => {
        const forget = () => {
          onInterrupt = undefined
        }
        onInterrupt = () => {
          forget()
          resume(Effect.void)
        }
        return Effect.sync(forget)
      }),
      history: () => history
    }
  })

/** A reader of what is typed or piped in, until the scope closes. */
export const make = (options: Options): Effect.Effect<Lines, never, Scope.Scope> =>
  options.isTerminal ? typed(options) : piped(options)
