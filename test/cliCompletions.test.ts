import { execFile, spawnSync } from "node:child_process"
import { promisify } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { commands } from "../src/cli/commands.js"
import * as Completions from "../src/cli/completions.js"
import { folder } from "./process.js"

const execute = promisify(execFile)

type Shell = "bash" | "zsh" | "fish"
type Line = ReadonlyArray<string>

const quoted = (text: string) => `'${text}'`

const typed = (words: Line) => quoted(["floodgate", ...words].join(" "))

/** What each shell does to print what it would offer after these lines, with a mark after each. */
const asked: Readonly<Record<Shell, (script: string, lines: ReadonlyArray<Line>) => ReadonlyArray<string>>> =
  {
    bash: (script, lines) => [
      `source ${script}`,
      ...lines.map(
        (words) =>
          `COMP_WORDS=(floodgate ${words.map(quoted).join(" ")}); COMP_CWORD=${words.length}; _floodgate; printf '%s\\n' "\${COMPREPLY[@]}" --end--`
      )
    ],
    fish: (script, lines) => [
      `source ${script}`,
      ...lines.map((words) => `complete -C ${typed(words)}; echo --end--`)
    ],
    // its completions are for its editor: a zsh in a terminal of its own tells what that has made of the line
    zsh: (script, lines) => [
      "zmodload zsh/zpty",
      "zpty z 'zsh -f -i'",
      `zpty -w z 'PS1=""; stty columns 200 -echo; autoload -Uz compinit; compinit -D -u; source ${script}'`,
      `zpty -w z 'said() { print -r -- "--said<$BUFFER>"; BUFFER=""; zle .accept-line }; zle -N said; bindkey "^X" said'`,
      `zpty -w z 'print -r -- rea""dy'`,
      "zpty -r -m z answer '*ready*'",
      `for line in ${lines.map(typed).join(" ")}; do`,
      `  zpty -w -n z "$line"$'\\t\\x18'`,
      "  zpty -r -m z answer '*--said<*>*'",
      `  print -r -- "$answer"`,
      "  print -r -- --end--",
      "done",
      "zpty -d z"
    ]
  }

const has = (shell: Shell): boolean => spawnSync(shell, ["-c", "exit 0"]).status === 0

const flags = { bash: ["--norc"], fish: ["--no-config"], zsh: ["-f"] } as const

/** What the shell offers after each of these lines. */
const complete = (shell: Shell, lines: ReadonlyArray<Line>) =>
  Effect.gen(function* () {
    const files = yield* folder
    const script = files.write("script", yield* Completions.script(commands, shell))
    const run = files.write("run", `${asked[shell](script, lines).join("\n")}\n`)
    const { stderr, stdout } = yield* Effect.promise(() =>
      execute(shell, [...flags[shell], run], { timeout: 60_000 })
    )
    expect(stderr).toBe("")
    return stdout.split("--end--").map((offered) => offered.trim())
  })

const lines = [
  ["ba"],
  ["cache", ""],
  ["cache", "stats", "--na"],
  ["batch", "in.jsonl", "--cache-mode", "re"],
  ["batch", "package.j"],
  ["batch", "-o", "package.j"],
  ["completions", ""],
  // the names of other commands may be values
  ["ask", "test", "--sys"],
  ["--json", "batch", "--budget-u"],
  ["--he"]
]

describe("completions", () => {
  it.scopedLive("for bash, as bash runs them", () =>
    Effect.gen(function* () {
      const script = yield* Completions.script(commands, "bash")
      expect(script).not.toContain("undefined")
      const offered = yield* complete("bash", [
        ...lines,
        // as bash takes --cache-mode=re apart
        ["batch", "--cache-mode", "=", "rep"],
        ["batch", "--cache-mode", "="]
      ])
      const words = offered.map((text) => text.split("\n").sort())
      expect(words[0]).toEqual(["batch"])
      expect(words[1]).toEqual(["--help", "--version", "clear", "export", "import", "stats"])
      expect(words[2]).toEqual(["--namespace"])
      expect(words[3]).toEqual(["read-only", "read-write", "refresh", "replay"])
      expect(words[4]).toEqual(["package.json"])
      expect(words[5]).toEqual(["package.json"])
      expect(words[6]).toEqual(["bash", "fish", "zsh"])
      expect(words[7]).toEqual(["--system"])
      expect(words[8]).toEqual(["--budget-unpriced"])
      expect(words[9]).toEqual(["--help"])
      expect(words[10]).toEqual(["replay"])
      expect(words[11]).toContain("bypass")
    })
  )

  it.scopedLive.skipIf(!has("fish"))("for fish, as fish runs them", () =>
    Effect.gen(function* () {
      const offered = yield* complete("fish", [
        ...lines,
        ["batch", "--cache-mode=rep"],
        ["chat", "package.j"]
      ])
      const words = offered.map((text) => text.split("\n").map((line) => line.split("\t", 1)[0] ?? ""))
      expect(words[0]).toEqual(["batch"])
      expect(offered[0]).toMatch(/^batch\tAnswer a file of requests$/)
      expect(words[1]).toEqual(["clear", "export", "import", "stats"])
      expect(words[2]).toEqual(["--namespace"])
      expect(words[3]).toEqual(["read-only", "read-write", "refresh", "replay"])
      expect(words[4]).toEqual(["package.json"])
      expect(words[5]).toEqual(["package.json"])
      expect(words[6]).toEqual(["bash", "fish", "zsh"])
      expect(words[7]).toEqual(["--system"])
      expect(words[8]).toEqual(["--budget-unpriced"])
      expect(words[9]).toEqual(["--help"])
      expect(words[10]).toEqual(["--cache-mode=replay"])
      // that takes no file
      expect(words[11]).toEqual([""])
    })
  )

  it.scopedLive.skipIf(!has("zsh"))("for zsh, as zsh runs them", () =>
    Effect.gen(function* () {
      const offered = yield* complete("zsh", [...lines, ["batch", "--cache-mode=rep"]])
      const inserted = offered.map((text) => /--said<(.*)>/.exec(text)?.[1]?.trim())
      expect(inserted[0]).toBe("floodgate batch")
      for (const word of ["clear", "export", "import", "stats"]) expect(offered[1]).toContain(word)
      expect(inserted[2]).toMatch(/^floodgate cache stats --namespace=?$/)
      expect(inserted[3]).toBe("floodgate batch in.jsonl --cache-mode re")
      for (const word of ["read-only", "read-write", "refresh", "replay"]) expect(offered[3]).toContain(word)
      expect(inserted[4]).toBe("floodgate batch package.json")
      expect(inserted[5]).toBe("floodgate batch -o package.json")
      for (const word of ["bash", "fish", "zsh"]) expect(offered[6]).toContain(word)
      expect(inserted[7]).toMatch(/^floodgate ask test --system=?$/)
      expect(inserted[8]).toMatch(/^floodgate --json batch --budget-unpriced=?$/)
      expect(inserted[9]).toBe("floodgate --help")
      expect(inserted[10]).toBe("floodgate batch --cache-mode=replay")
    })
  )
})
