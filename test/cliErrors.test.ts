import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { CliError } from "../src/cli/CliError.js"
import { commands } from "../src/cli/commands.js"
import { dispatch } from "../src/cli/dispatch.js"
import { report } from "../src/cli/errorReport.js"
import { explain } from "../src/cli/help.js"

/** What is said on stderr of a command line that cannot be done. */
const said = (line: string, env: Readonly<Record<string, string>> = {}) =>
  Effect.flip(dispatch(line.split(" "), "0")).pipe(
    Effect.orDieWith((code) => `it ended with ${code}`),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))),
    Effect.provide(NodeContext.layer)
  )

const each = <A>(
  cases: Readonly<Record<string, A>>,
  check: (line: string, expected: A) => Effect.Effect<void>
) => Effect.forEach(Object.entries(cases), ([line, expected]) => check(line, expected), { discard: true })

describe("an error of the command line", () => {
  it.live("says what was meant by a word that is misspelt", () =>
    each(
      {
        bacth: /^floodgate: there is no command "bacth": try ask, .* or --help; did you mean "batch"\?\n$/,
        "cache stst":
          /^floodgate: there is no command "cache stst": try stats, .*; did you mean "stats"\?\n$/,
        "test --provder openai":
          /^floodgate: unknown option --provder: floodgate test --help lists them all; did you mean "--provider"\?\n$/,
        "cache stats --jsn": /unknown option --jsn: .*; did you mean "--json"\?/,
        "--versoin": /unknown option --versoin: floodgate --help lists them all; did you mean "--version"\?/,
        "batch in -o out --cache-mode replya":
          /--cache-mode takes one of .*, not "replya"; did you mean "replay"\?/,
        "batch in -o out --log-level wraning": /--log-level takes one of .*; did you mean "warning"\?/,
        "ask hi --cache-mode read-onl": /--cache-mode takes one of .*; did you mean "read-only"\?/,
        "init --provider antropic": /--provider takes one of .*; did you mean "anthropic"\?/,
        "completions zhs": /SHELL takes one of bash, zsh, fish, not "zhs"; did you mean "zsh"\?/,
        // nothing is near
        "batch in -o out --frobnicate":
          /^floodgate: unknown option --frobnicate: floodgate batch --help lists them all\n$/
      },
      (line, expected) => Effect.map(said(line), (text) => void expect(text).toMatch(expected))
    )
  )

  it.live("names what is missing, and what is too much", () =>
    each(
      {
        batch: "--output is missing: floodgate batch --help tells what it takes",
        "batch -o out": "INPUT is missing: floodgate batch --help tells what it takes",
        "batch in more -o out": `unexpected argument "more": floodgate batch --help tells what it takes`,
        "batch in -o": "-o needs a value: floodgate batch --help lists them all",
        "batch in -q -o out": "unknown option -q: floodgate batch --help lists them all",
        "--model m ask Hi":
          "--model stands before the name of a command, and is an option of one: write floodgate ask --model …",
        // an argument is no option
        "batch in --input x -o out": "unknown option --input: floodgate batch --help lists them all",
        "batch rows.xlsx -o out":
          "Cannot read rows.xlsx: .xlsx files are no text. Save it as CSV, and pass that",
        "simulate --script none.json": "--script none.json: no such file",
        "simulate --script README.md": expect.stringContaining("--script README.md: this is not JSON: "),
        "simulate --script package.json":
          '--script package.json: this is no list of faults such as [{"at": 3, "fault": {"kind": "reset"}}]',
        "simulate --latency 5s..1s":
          '--latency takes a time such as 300ms, or a range such as 200ms..2s, not "5s..1s"',
        "simulate --port 0 --log none/log": "--log: cannot write none/log: there is no such folder",
        "config show --config src": "src:1:1: cannot be read: it is a folder",
        "report package.json": expect.stringContaining("package.json has no outcome of a run in it"),
        "init --path package.json/x": "package.json/x cannot be written: package.json is a file"
      },
      (line, expected: unknown) =>
        Effect.map(said(line), (text) => {
          expect(text).toMatch(/^floodgate: .*\n$/)
          expect(text.slice("floodgate: ".length, -1)).toEqual(expected)
        })
    )
  )

  it.live("is one JSON object with --json, wherever that stands", () =>
    Effect.gen(function* () {
      const message = `unexpected argument "more": floodgate batch --help tells what it takes`
      for (const line of [
        "batch --json in more -o out",
        "--json batch in more -o out",
        "batch in more -o out --json"
      ]) {
        expect(JSON.parse(yield* said(line))).toEqual({ error: { message, command: "batch", exitCode: 2 } })
      }
      expect(JSON.parse(yield* said("bacth --json"))).toMatchObject({ error: { exitCode: 2 } })
      // that is a value
      expect(yield* said("batch in more -o out --prompt --json")).toBe(`floodgate: ${message}\n`)
      expect(JSON.parse(yield* said("test --json", { FLOODGATE_PROVIDER: "opnai" }))).toMatchObject({
        error: {
          problems: [{ place: "FLOODGATE_PROVIDER", path: "", message: expect.stringContaining("openai") }]
        }
      })
    })
  )

  it("tells what it comes from with --verbose", () => {
    const error = new CliError({
      message: "cannot read x",
      cause: new Error("it failed", { cause: Object.assign(new Error("no entry"), { code: "ENOENT" }) })
    })
    const manner = { json: false, verbose: true }
    expect(report(error, manner, "batch", 2)).toBe(
      "floodgate: cannot read x\n  from Error: it failed\n  from Error: no entry (ENOENT)\n"
    )
    expect(report(error, { ...manner, verbose: false }, "batch", 2)).toBe("floodgate: cannot read x\n")
    expect(JSON.parse(report(error, { json: true, verbose: true }, "", 2))).toEqual({
      error: {
        message: "cannot read x",
        exitCode: 2,
        causes: ["Error: it failed", "Error: no entry (ENOENT)"]
      }
    })
  })
})

describe("the command line", () => {
  it.live("explains every command within 80 columns", () =>
    Effect.forEach(
      commands,
      ({ load, purpose, usage, words }) =>
        Effect.map(load, ({ entries }) => {
          const text = explain(`floodgate ${words.join(" ")} ${usage}`, purpose, entries)
          expect(text.split("\n").filter((line) => line.length > 80)).toEqual([])
          // each option says what it is for
          expect(entries.filter(({ text }) => text === "").map(({ term }) => `${words} ${term}`)).toEqual([])
        }),
      { discard: true }
    )
  )
})
