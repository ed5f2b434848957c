/** The command line in this process, for what does not need one of its own. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import type { CliError } from "../src/cli/CliError.js"
import { commands } from "../src/cli/commands.js"

export interface End {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Env {
  readonly url: string
  readonly model?: string
}

const written = (stream: NodeJS.WriteStream) => {
  let text = ""
  const spy = vi.spyOn(stream, "write").mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  return { text: () => text, end: () => spy.mockRestore() }
}

/** Runs a command to its end, with its errors as the message and exit code that they come to. One at a time. */
export const runHere = (
  args: ReadonlyArray<string>,
  { model = "gpt-4o-mini", url }: Env
): Effect.Effect<End> =>
  Effect.acquireUseRelease(
    Effect.sync(() => ({ stdout: written(process.stdout), stderr: written(process.stderr) })),
    ({ stderr, stdout }) =>
      Effect.gen(function* () {
        const [name, ...rest] = args
        const command = commands.find(({ words }) => words.join(" ") === name)
        if (command === undefined) return yield* Effect.dieMessage(`no command ${name}`)
        const { run } = yield* command.load
        const code = yield* Effect.scoped(run(rest, { version: "0", wizard: false })).pipe(
          Effect.provide(NodeContext.layer),
          Effect.withConfigProvider(
            ConfigProvider.fromMap(
              new Map([
                ["OPENAI_API_KEY", "k"],
                ["OPENAI_BASE_URL", url],
                ["OPENAI_MODEL", model]
              ])
            )
          ),
          Effect.catchAll(({ message }: CliError) =>
            Effect.sync(() => {
              process.stderr.write(message)
              return 2
            })
          )
        )
        return { code, stdout: stdout.text(), stderr: stderr.text() }
      }),
    ({ stderr, stdout }) =>
      Effect.sync(() => {
        stderr.end()
        stdout.end()
      })
  )
