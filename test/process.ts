/** The command line as its users have it: a process of the built program, in a folder of its own. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The program that `floodgate` starts. */
export const program = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url))

/** The key of every run. It is found wherever it leaks, as no other text holds it. */
export const apiKey = "fk.Z7-distinctive-Q9.never-to-be-seen"

export interface Finished {
  /** Exit code; null if a signal ended the process. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** From start to end, in milliseconds. */
  readonly took: number
}

export interface Running {
  readonly process: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Ends with the process. */
  readonly finished: Effect.Effect<Finished>
  /** Sends the signal and waits for the end; `took` is the time from signal to end. */
  readonly end: (signal: NodeJS.Signals) => Effect.Effect<Finished>
}

export interface StartOptions {
  /** Base URL of the API. */
  readonly url?: string
  /** What is fed to the standard input. Default: nothing, at once at its end. */
  readonly stdin?: string | Uint8Array
  /** Changes to the environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** Runs `sh -c` with this text, where `"$@"` stands for the command. */
  readonly shell?: string
}

const environment = ({ env, url }: StartOptions): NodeJS.ProcessEnv => {
  const given = {
    PATH: process.env.PATH,
    HOME: tmpdir(),
    OPENAI_API_KEY: apiKey,
    OPENAI_MODEL: "sim-1",
    OPENAI_BASE_URL: url,
    ...env
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** Starts the command line; whatever of it is left is killed when the scope closes. */
export const start = (
  args: ReadonlyArray<string>,
  options: StartOptions = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const command = [process.execPath, program, ...args]
        const whole = options.shell === undefined ? command : ["sh", "-c", options.shell, "sh", ...command]
        const child = spawn(whole[0] ?? "", whole.slice(1), {
          env: environment(options),
          ...(options.cwd === undefined ? undefined : { cwd: options.cwd })
        })
        // a command that is refused ends before it has read its input
        child.stdin.on("error", () => {})
        child.stdin.end(options.stdin)
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      const startedAt = Date.now()
      let stdout = ""
      let stderr = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text
      })
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text
      })
      const ended = new Promise<Finished>((resolve) => {
        child.on("close", (code, signal) =>
          resolve({ code, signal, stdout, stderr, took: Date.now() - startedAt })
        )
      })
      const finished = Effect.promise(() => ended)
      return {
        process: child,
        stdout: () => stdout,
        stderr: () => stderr,
        finished,
        end: (signal) =>
          Effect.suspend(() => {
            const sentAt = Date.now()
            child.kill(signal)
            return Effect.map(finished, (end) => ({ ...end, took: Date.now() - sentAt }))
          })
      }
    }
  )

/** Runs the command line to its end. */
export const run = (args: ReadonlyArray<string>, options?: StartOptions): Effect.Effect<Finished> =>
  Effect.scoped(Effect.flatMap(start(args, options), ({ finished }) => finished))

/** Waits until it is so, looking often. */
export const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (isSo() ? Effect.void : Effect.zipRight(Effect.sleep(5), until(isSo))))

/** A line of an output file, as far as tests look into it. */
export interface Line {
  readonly index: number
  readonly custom_id: string | null
  readonly status: "success" | "error"
  readonly response: {
    readonly text: string
    readonly usage: { readonly inputTokens: number; readonly outputTokens: number }
  } | null
  readonly error: {
    readonly _tag: string
    readonly message: string
    readonly status: number | null
    readonly retryable: boolean
  } | null
  readonly meta: {
    readonly attempts: number
    readonly cached: boolean
    readonly latencyMs: number
    readonly key: string
  }
  readonly metadata: Readonly<Record<string, unknown>>
}

/** A folder for one test. */
export interface Folder {
  readonly path: (name: string) => string
  /** Writes a file and gives its path. */
  readonly write: (name: string, content: string | Uint8Array) => string
  /** Writes records, one a line, and gives the file's path. */
  readonly records: (name: string, records: Iterable<unknown>) => string
  readonly bytes: (name: string) => Buffer
  readonly lines: (name: string) => ReadonlyArray<Line>
  /** How many lines a file that is being written has. */
  readonly count: (name: string) => number
  readonly json: (name: string) => Readonly<Record<string, unknown>>
  /** Names of all files, sorted. */
  readonly names: () => ReadonlyArray<string>
}

export const folder: Effect.Effect<Folder, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-cli-"))),
    (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
  ),
  (root) => {
    const path = (name: string) => join(root, name)
    const write: Folder["write"] = (name, content) => {
      writeFileSync(path(name), content)
      return path(name)
    }
    const text = (name: string) => readFileSync(path(name), "utf8")
    return {
      path,
      write,
      records: (name, records) =>
        write(name, Array.from(records, (record) => `${JSON.stringify(record)}\n`).join("")),
      bytes: (name) => readFileSync(path(name)),
      lines: (name) =>
        text(name)
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line)),
      count: (name) => (existsSync(path(name)) ? text(name).split("\n").length - 1 : 0),
      json: (name) => JSON.parse(text(name)),
      names: () => readdirSync(root).sort()
    }
  }
)

/** A chat body as a server receives it. */
export interface Body {
  readonly model: string
  readonly messages: ReadonlyArray<{ readonly role: string; readonly content: unknown }>
  readonly [parameter: string]: unknown
}

/** Answers a call of the chat endpoint. `body` is parsed. */
export type Answer = (body: Body, response: ServerResponse, request: IncomingMessage) => void

/** The plain answer of a server: the prompt in capitals. */
export const plainAnswer: Answer = ({ messages, model }, response) => {
  response.writeHead(200, { "content-type": "application/json" })
  response.end(
    JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion",
      model,
      choices: [
        {
          index: 0,
          finish_reason: "stop",
          message: { role: "assistant", content: String(messages.at(-1)?.content).toUpperCase() }
        }
      ],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
    })
  )
}

/** A server that remembers what it was sent, in order of arrival. */
export const serve = (
  answer: Answer = plainAnswer
): Effect.Effect<
  { readonly url: string; readonly bodies: ReadonlyArray<Body>; readonly requests: () => number },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const bodies: Array<Body> = []
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body: Body = JSON.parse(Buffer.concat(chunks).toString("utf8"))
        bodies.push(body)
        answer(body, response, request)
      })
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    const { port } = server.address() as AddressInfo
    return { url: `http://127.0.0.1:${port}/v1`, bodies, requests: () => bodies.length }
  })
