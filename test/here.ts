/** The command line in this process, for what does not need one of its own. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { dispatch } from "../src/cli/dispatch.js"

export interface End {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Env {
  readonly url: string
  readonly model?: string
  /** Changes to the environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

// what is written to stdout and stderr is of the one that runs
const oneAtATime = Effect.unsafeMakeSemaphore(1)

const written = (stream: NodeJS.WriteStream) => {
  let text = ""
  const spy = vi.spyOn(stream, "write").mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  return { text: () => text, end: () => spy.mockRestore() }
}

/** Runs the command line to its end, with its errors as the message and exit code that they come to. One at a time. */
export const runHere = (
  args: ReadonlyArray<string>,
  { env, model = "gpt-4o-mini", url }: Env
): Effect.Effect<End> => {
  const variables = { OPENAI_API_KEY: "k", OPENAI_BASE_URL: url, OPENAI_MODEL: model, ...env }
  const given = Object.entries(variables).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  )
  return Effect.acquireUseRelease(
    Effect.sync(() => ({ stdout: written(process.stdout), stderr: written(process.stderr) })),
    ({ stderr, stdout }) =>
      dispatch(args, "0").pipe(
        Effect.catchAll((message) =>
          Effect.sync(() => {
            process.stderr.write(message)
            return 2
          })
        ),
        Effect.provide(NodeContext.layer),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(given))),
        Effect.map((code) => ({ code, stdout: stdout.text(), stderr: stderr.text() }))
      ),
    ({ stderr, stdout }) =>
      Effect.sync(() => {
        stderr.end()
        stdout.end()
      })
  ).pipe(oneAtATime.withPermits(1))
}
