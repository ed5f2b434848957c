import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { rows, sourceOf } from "../src/cli/configRows.js"
import { data, table } from "../src/cli/runConfigShow.js"
import { writeConfig } from "../src/cli/runInit.js"
import { configure } from "../src/internal/configServices.js"
import { exampleModels, keyVariableOf } from "../src/internal/configTemplate.js"
import { type Name, names } from "../src/internal/providerRegistry.js"
import { run, folder as runFolder, serve } from "./process.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-cli-config-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

type Variables = Readonly<Record<string, string>>

const withVariables = (env: Variables) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))

const read = (path: string, env: Variables, flags?: Readonly<Record<string, unknown>>) =>
  configure({ path, flags }).pipe(withVariables(env), Effect.provide(NodeContext.layer))

const flagsOf = (path: string, provider: Name, model: string, baseUrl?: string) => ({
  path,
  provider,
  model,
  keyVariable: undefined,
  baseUrl
})

const init = (flags: Parameters<typeof writeConfig>[0]) =>
  Effect.provide(writeConfig(flags), NodeContext.layer)

describe("floodgate batch", () => {
  it.scopedLive("goes by the config file, and flags and variables go before it", () =>
    Effect.gen(function* () {
      const files = yield* runFolder
      const server = yield* serve()
      const file = files.write(
        "floodgate.yaml",
        `
endpoints:
  - { id: mini, provider: openai, model: small, base_url: ${server.url}, api_key: "\${OPENAI_API_KEY}" }
  - { id: big, provider: groq, model: large, base_url: ${server.url}, api_key: { env: OPENAI_API_KEY } }
tasks:
  label: { system: "One word.", parameters: { max_tokens: 5 }, endpoints: [big] }
cache: { store: answers.db }
batch: { concurrency: 1 }
`
      )
      const input = files.records("in.jsonl", [{ prompt: "one" }, { prompt: "two" }])
      const ask = (out: string, ...more: ReadonlyArray<string>) =>
        Effect.map(
          run(["batch", input, "-o", files.path(out), "--no-progress", ...more], {
            cwd: files.path("."),
            env: { OPENAI_MODEL: undefined, FLOODGATE_CACHE: more.length === 0 ? "off" : undefined }
          }),
          ({ code, stderr }) => expect(`${code} ${stderr}`).toMatch(/^0 /)
        )
      yield* ask("both")
      // the file's strategy takes turns
      expect(server.bodies.map(({ model }) => model).sort()).toEqual(["large", "small"])
      expect(files.names()).not.toContain("answers.db")
      yield* ask("task", "--task", "label")
      expect(server.bodies.slice(2)).toMatchObject(
        ["one", "two"].map((content) => ({
          model: "large",
          messages: [
            { role: "system", content: "One word." },
            { role: "user", content }
          ]
        }))
      )
      expect(files.names()).toContain("answers.db")
      // what the file says of other endpoints is no mistake then
      const flags = { provider: "mini", model: "other" }
      const { endpoints, router } = yield* read(file, { OPENAI_API_KEY: "k" }, flags)
      expect(endpoints.map(({ options }) => [options.id, options.model])).toEqual([["mini", "other"]])
      expect(router.endpoints.length).toBe(1)
      const refused = yield* Effect.flip(read(file, { OPENAI_API_KEY: "k" }, { ...flags, task: "label" }))
      expect(refused.message).toBe('--task: the task "label" is for other endpoints: big')
    })
  )

  it.scopedLive("names the place of a mistake in the file", () =>
    Effect.gen(function* () {
      const files = yield* runFolder
      files.write("floodgate.yaml", "batch:\n  concurency: 3\n")
      const input = files.records("in.jsonl", [{ prompt: "one" }])
      const command = ["batch", input, "-o", files.path("out")]
      const options = { cwd: files.path("."), url: "http://127.0.0.1:9/v1" }
      const end = yield* run(command, options)
      expect(end).toMatchObject({ code: 2, stdout: "" })
      expect(end.stderr).toBe(
        'floodgate: floodgate.yaml:2:3: batch.concurency: unknown key; did you mean "concurrency"?\n'
      )
      expect(files.names()).not.toContain("out")
    })
  )
})

describe("floodgate config show", () => {
  const file = `
endpoints:
  - id: mini
    provider: openai
    api_key: \${MINI_KEY}
    headers: { x-tenant: tenant-secret }
    limits: { rpm: 500 }
  - id: off
    provider: groq
    enabled: false
cache: { store: "redis://:redis-secret@cache.example:6379" }
tasks: { label: { parameters: { extra: { user_token: extra-secret, top_a: 1 } } } }
retry: { timeout: 30s }
`

  it.scopedLive("tells each setting in force and where it is from", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "settings.yaml")
      writeFileSync(path, file)
      const env = {
        MINI_KEY: "mini-secret",
        OPENAI_MODEL: "gpt-5-mini",
        OPENAI_BASE_URL: "https://user:url-secret@proxy.example/v1?key=url-secret",
        FLOODGATE_DEADLINE: "2h"
      }
      const configured = yield* read(path, env, { concurrency: "8" })
      expect(
        rows(configured).map(({ origin, setting, value }) => [setting, value, sourceOf(origin)])
      ).toEqual([
        ["endpoints[0].api_key", "(hidden)", "MINI_KEY"],
        ["endpoints[0].base_url", "https://proxy.example/v1?(hidden)", "OPENAI_BASE_URL"],
        ["endpoints[0].headers.x-tenant", "(hidden)", `${path}:6`],
        ["endpoints[0].id", "mini", `${path}:3`],
        ["endpoints[0].limits.rpm", 500, `${path}:7`],
        ["endpoints[0].model", "gpt-5-mini", "OPENAI_MODEL"],
        ["endpoints[0].provider", "openai", `${path}:4`],
        ["cache.store", "redis://cache.example:6379", `${path}:11`],
        ["tasks.label.parameters.extra.user_token", "(hidden)", `${path}:12`],
        ["tasks.label.parameters.extra.top_a", 1, `${path}:12`],
        ["retry.timeout", "30s", `${path}:13`],
        ["retry.deadline", "2h", "FLOODGATE_DEADLINE"],
        ["batch.concurrency", "8", "--concurrency"],
        ["limiter.store", "memory", "default"],
        ["cache.ttl", "for ever", "default"],
        ["cache.mode", "read_write", "default"],
        ["retry.max_retries", "8", "default"],
        ["budget", "none", "default"],
        ["log.level", "info", "default"]
      ])
      expect(table(configured)).toContain("endpoints[0].limits.rpm")
      expect(`${table(configured)}${JSON.stringify(data(configured))}`).not.toContain("secret")
      expect(data(configured)).toMatchObject({
        file: path,
        settings: expect.arrayContaining([
          { setting: "batch.concurrency", value: "8", source: { kind: "flag", name: "concurrency" } }
        ])
      })
    })
  )

  it.scopedLive(
    "warns of variables that look like settings and are none, and takes no other file for one",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "settings.yaml")
        writeFileSync(path, "")
        const env = { OPENAI_API_KEY: "k", FLOODGATE_RPM: "5", FLOODGATE_CONFIG: path }
        const slips = {
          FLOODGATE_RMP: "secret",
          FLOODGATE_CACHE_TLT: "1h",
          FLOODGATE_X: "1",
          FLOODGATE_RPS: ""
        }
        const expected = [
          ["FLOODGATE_CACHE_TLT", 'there is no such setting; did you mean "FLOODGATE_CACHE_TTL"?'],
          ["FLOODGATE_RMP", 'there is no such setting; did you mean "FLOODGATE_RPM"?'],
          ["FLOODGATE_X", "there is no such setting"]
        ]
        // some providers take names apart
        for (const pathDelim of [".", "_"]) {
          const { warnings } = yield* configure({}).pipe(
            Effect.withConfigProvider(
              ConfigProvider.fromMap(new Map(Object.entries({ ...env, ...slips })), { pathDelim })
            ),
            Effect.provide(NodeContext.layer)
          )
          const said = warnings.map(({ message, origin }) => [origin.kind === "env" && origin.name, message])
          expect(said.sort()).toEqual(expected)
        }
        expect((yield* read(path, env)).warnings).toEqual([])

        writeFileSync(path, Buffer.from([0xff, 0xfe, 0x00, 0xd8]))
        const { message } = yield* Effect.flip(read(path, env))
        expect(message).toBe(`${path}:1:1: this is no text: a config file is YAML, in UTF-8`)
      })
  )

  it.scopedLive("shows no secret, wherever one may stand", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "settings.yaml")
      const secrets = FastCheck.sample(FastCheck.stringMatching(/^[A-Za-z0-9]{12,24}$/), 5)
      for (const secret of secrets) {
        const redis = `redis://:${secret}@127.0.0.1:1`
        writeFileSync(
          path,
          `endpoints:
  - { provider: openai, api_key: ${secret}, base_url: "http://u:${secret}@x.example/v1", headers: { a: ${secret} } }
  - { provider: mistral, api_key: { env: KEY } }
cache: { store: "${redis}" }
limiter: { store: "\${REDIS}" }
`
        )
        const configured = yield* read(path, { KEY: secret, REDIS: redis })
        expect(`${table(configured)}${JSON.stringify(data(configured))}`).not.toContain(secret)
      }
    })
  )
})

describe("floodgate init", () => {
  it.scopedLive("writes a file that can be read, for every provider", () =>
    Effect.gen(function* () {
      const root = yield* folder
      for (const name of names) {
        const path = join(root, name, "floodgate.yaml")
        const model = exampleModels[name] ?? "vendor/model:7b"
        yield* init(
          flagsOf(path, name, model, name === "openai-compatible" ? "http://127.0.0.1:1/v1" : undefined)
        )
        const place = { GOOGLE_CLOUD_PROJECT: "p", AZURE_OPENAI_ENDPOINT: "https://x.openai.azure.com" }
        const { endpoints, warnings, router } = yield* read(path, {
          [keyVariableOf(name) ?? "NONE"]: "k",
          ...place
        })
        expect(endpoints.map(({ options }) => [options.id, options.provider, options.model])).toEqual([
          ["main", name, model]
        ])
        expect(router.endpoints[0].apiKey === undefined).toBe(keyVariableOf(name) === undefined)
        expect(warnings).toEqual([])
      }
    })
  )

  it.scopedLive("never writes over a file, and writes none that could not be read", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "floodgate.yaml")
      const refused = (flags: Parameters<typeof writeConfig>[0]) =>
        Effect.map(Effect.flip(init(flags)), ({ message }) => message)
      expect(yield* refused(flagsOf(path, "openai", "m", "ftp://x"))).toBe(
        "This would make no good file: endpoints[0].base_url: expected an address that starts with http:// or https://"
      )
      expect(yield* refused({ ...flagsOf(path, "openai", "m"), keyVariable: "sk-abc" })).toBe(
        "--key-variable takes the name of a variable, and not the key itself"
      )
      expect(yield* refused({ ...flagsOf(path, "groq", "m"), model: undefined })).toBe(
        "--model: name a model of Groq"
      )
      writeFileSync(path, "mine")
      expect(yield* refused(flagsOf(path, "openai", "m"))).toBe(
        `${path} is there already, and is left as it is; --path names another`
      )
      expect(readFileSync(path, "utf8")).toBe("mine")
    })
  )
})
