import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { batch, Chat, ConfigFile, layerConfigFile, RateLimiter } from "floodgate"
import * as Simulator from "floodgate/Simulator"
import { jsonSchema } from "../src/internal/configSchema.js"
import { configure } from "../src/internal/configServices.js"
import { find, names } from "../src/internal/providerRegistry.js"

type Variables = Readonly<Record<string, string>>

/** A machine with these files and variables, and nothing else. */
const machine = (files: Variables, env: Variables = {}) =>
  Layer.mergeAll(
    FileSystem.layerNoop({
      exists: (path) => Effect.succeed(path in files),
      readFileString: (path) => Effect.succeed(files[path] ?? "")
    }),
    Path.layer,
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))
  )

const withKey = { OPENAI_API_KEY: "k" }

const read = (text: string, env: Variables = withKey, flags?: Readonly<Record<string, unknown>>) =>
  configure({ flags }).pipe(Effect.either, Effect.provide(machine({ "floodgate.yaml": text }, env)))

/** What is said of a file that is wrong. */
const complaint = (text: string, env?: Variables, flags?: Readonly<Record<string, unknown>>) =>
  Effect.map(read(text, env, flags), (found) => (Either.isLeft(found) ? found.left.message.split("\n") : []))

const good = (text: string, env?: Variables, flags?: Readonly<Record<string, unknown>>) =>
  Effect.flatMap(read(text, env, flags), (found) => Effect.orDie(found))

const one = "endpoints:\n  - { id: a, provider: openai }\n"

describe("a config file", () => {
  it.effect.each<readonly [what: string, text: string, said: ReadonlyArray<string>]>([
    [
      "a misspelt key",
      "endpoints:\n  - provider: openai\n    baseUrl: http://x\n    limits: { rmp: 500 }\n",
      [
        'floodgate.yaml:3:5: endpoints[0].baseUrl: unknown key; did you mean "base_url"?',
        'floodgate.yaml:4:15: endpoints[0].limits.rmp: unknown key; did you mean "rpm"?'
      ]
    ],
    [
      "an unknown provider, and none",
      "endpoints:\n  - provider: opnai\n  - model: x\n",
      [
        `floodgate.yaml:2:15: endpoints[0].provider: expected one of ${names.join(", ")}, not "opnai"; did you mean "openai"?`,
        "floodgate.yaml:3:5: endpoints[1].provider: missing"
      ]
    ],
    [
      "values of the wrong kind, all at once",
      "endpoints:\n  - provider: openai\n    enabled: no\n    limits: { rpm: -1, tpm: many }\n    context_window: 1.5\nretry: { timeout: 0s }\nbudget: a lot\n",
      [
        'floodgate.yaml:3:14: endpoints[0].enabled: expected true or false, not "no"',
        "floodgate.yaml:4:20: endpoints[0].limits.rpm: expected a number greater than 0, not -1",
        'floodgate.yaml:4:29: endpoints[0].limits.tpm: expected a number greater than 0, not "many"',
        "floodgate.yaml:5:21: endpoints[0].context_window: expected a whole number greater than 0, not 1.5",
        'floodgate.yaml:6:19: retry.timeout: expected a time such as 90s, 10m or 7d, not "0s"',
        'floodgate.yaml:7:9: budget: expected an amount of money such as "25 USD", not "a lot"'
      ]
    ],
    ["a list at the top", "- a\n", ["floodgate.yaml:1:1: expected a map, not a list"]],
    [
      "no endpoint in the list",
      "endpoints: []\n",
      ["floodgate.yaml:1:12: endpoints: expected a list of one or more, not an empty list"]
    ],
    [
      "a strategy that there is not, within another",
      `${one}router:\n  strategy: { fallback: [{ round_robn: [a] }, a] }\n`,
      [
        'floodgate.yaml:4:28: router.strategy.fallback[0].round_robn: unknown key; did you mean "round_robin"?'
      ]
    ],
    [
      "names that no endpoint and no task has",
      "endpoints:\n  - { id: mini, provider: openai, tasks: [labl] }\nrouter: { strategy: { fallback: [mimi, mini] } }\ntasks: { label: { endpoints: [minni] } }\n",
      [
        'floodgate.yaml:2:43: endpoints[0].tasks[0]: no task "labl"; did you mean "label"?',
        'floodgate.yaml:3:34: router.strategy.fallback[0]: no endpoint has the id or model "mimi"; did you mean "mini"?',
        'floodgate.yaml:4:31: tasks.label.endpoints[0]: no endpoint has the id or model "minni"; did you mean "mini"?'
      ]
    ],
    [
      "two endpoints of one id",
      `${one}  - { id: a, provider: openai }\n`,
      ['floodgate.yaml:3:11: endpoints[1].id: the id "a" is taken by endpoints[0]']
    ],
    [
      "variables that are not set",
      `endpoints:\n  - provider: openai\n    api_key: \${NOPE}\n    limits: { rpm: "\${RPM}" }\n`,
      [
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is in the message
        "floodgate.yaml:3:14: endpoints[0].api_key: the variable NOPE is not set: set it, write it into .env, or give a default with ${NOPE:-…}",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is in the message
        "floodgate.yaml:4:20: endpoints[0].limits.rpm: the variable RPM is not set: set it, write it into .env, or give a default with ${RPM:-…}"
      ]
    ],
    [
      "no key",
      "endpoints:\n  - provider: groq\n    model: x\n",
      [
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is in the message
        "floodgate.yaml:2:5: endpoints[0].api_key: Set the environment variable GROQ_API_KEY to your Groq API key, or write api_key: ${NAME} here"
      ]
    ],
    [
      "no address",
      "endpoints:\n  - provider: openai-compatible\n",
      ["floodgate.yaml:2:5: endpoints[0].base_url: missing: the address of the server"]
    ],
    [
      "no YAML",
      "endpoints:\n\t- provider: openai\n",
      ["floodgate.yaml:2:1: not YAML: a tab; YAML is indented with spaces"]
    ],
    [
      "a variable between braces",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the file
      "endpoints:\n  - { provider: openai, api_key: ${OPENAI_API_KEY} }\n",
      [
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is in the message
        "floodgate.yaml:2:35: not YAML: this may not stand here; between braces ${NAME} needs quotes"
      ]
    ],
    ["a key twice", "batch: {}\nbatch: {}\n", ["floodgate.yaml:2:1: not YAML: this key is there twice"]],
    ["an alias of nothing", "cache: *x\n", ["floodgate.yaml:1:8: no anchor &x before it"]],
    [
      "a cache at no place",
      `${one}cache: { store: s3://user:password@bucket, mode: readonly }\n`,
      [
        "floodgate.yaml:3:17: cache.store: expected a file, redis://…, memory or off",
        'floodgate.yaml:3:50: cache.mode: expected one of read_write, bypass, refresh, read_only, replay, not "readonly"; did you mean "read_only"?'
      ]
    ],
    [
      "other limits in one domain",
      "endpoints:\n  - { id: a, provider: openai, domain: d, limits: { rpm: 1 } }\n  - { id: b, provider: openai, domain: d, limits: { rpm: 2 } }\n",
      [
        'floodgate.yaml:3:51: endpoints[1].limits: the domain "d" has other limits at the endpoint a; one place is enough'
      ]
    ]
  ])("is told of %s", ([, text, said]) => Effect.map(complaint(text), (found) => expect(found).toEqual(said)))

  it.effect("has anchors, merge keys and YAML 1.2's plain words", () =>
    Effect.gen(function* () {
      const { endpoints, loaded, domains } = yield* good(`
endpoints:
  - &house
    id: a
    provider: vllm
    model: no
    base_url: http://127.0.0.1:1/v1
    limits: &limits { rpm: 60 }
  - { <<: *house, id: b, limits: { <<: *limits, tpm: 1000 } }
`)
      expect(endpoints.map(({ options }) => [options.id, options.model, options.baseUrl])).toEqual([
        ["a", "no", "http://127.0.0.1:1/v1"],
        ["b", "no", "http://127.0.0.1:1/v1"]
      ])
      expect(domains).toEqual({
        "*": {},
        a: { requestsPerMinute: 60 },
        b: { requestsPerMinute: 60, tokensPerMinute: 1000 }
      })
      expect(loaded.origin(["endpoints", 1, "limits", "rpm"])).toMatchObject({ line: 8, column: 28 })
    })
  )

  it.effect("gives a domain its endpoint's limits, over those of the best pattern, over those of all", () =>
    Effect.gen(function* () {
      const { domains, warnings } = yield* good(`
endpoints:
  - { id: a, provider: openai, model: gpt-4o-mini, limits: { rpm: 9 } }
  - { id: b, provider: openai, model: gpt-4o }
  - { id: c, provider: openai, model: o3 }
limits:
  "gpt-4o*": { rpm: 5, tpm: 6 }
  gpt-4o-mini: { tpm: 7 }
  "claude*": { rpm: 1 }
  "*": { concurrency: 3, rpm: 2 }
`)
      expect(domains).toEqual({
        "*": { requestsPerMinute: 2, concurrency: 3 },
        a: { requestsPerMinute: 9, tokensPerMinute: 7, concurrency: 3 },
        b: { requestsPerMinute: 5, tokensPerMinute: 6, concurrency: 3 },
        c: { requestsPerMinute: 2, concurrency: 3 }
      })
      expect(warnings.map(({ message, path }) => [path, message])).toEqual([
        ['limits["claude*"]', "fits no endpoint"]
      ])
    })
  )

  it.effect("says of tasks what the router is to do", () =>
    Effect.gen(function* () {
      const { router } = yield* good(`
endpoints:
  - { id: cheap, provider: openai, model: gpt-5-nano, tasks: [label], parameters: { max_tokens: 9, seed: 1 } }
  - { id: good, provider: openai, model: gpt-5 }
tasks:
  label:
    system: One word.
    parameters: { max_tokens: 5, top_p: "\${TOP_P:-0.5}" }
    schema: { type: object, properties: { word: { type: string } } }
`)
      const labelled = yield* router.resolve(Chat.prompt("x"), "label")
      expect(labelled.request).toMatchObject({
        model: "gpt-5-nano",
        maxTokens: 5,
        topP: 0.5,
        // what the task leaves out its endpoint says
        seed: 1,
        messages: [{ role: "system", content: "One word." }, { role: "user" }],
        responseFormat: { type: "jsonSchema", name: "label" }
      })
      // an endpoint that serves a task serves no other
      expect(router.states.pipe(Effect.runSync).map(({ id }) => id)).toEqual(["cheap", "good"])
      expect(yield* complaint(`${one}batch: { task: lable }\ntasks: { label: {} }\n`)).toEqual([
        'floodgate.yaml:3:16: batch.task: no task "lable"; did you mean "label"?'
      ])
    })
  )
})

describe("what comes first", () => {
  const file = `
endpoints:
  - id: a
    provider: openai
    api_key: \${SECOND}
    limits: { rpm: 100, tpm: 5 }
  - { id: b, provider: openai }
retry: { timeout: 30s, max_retries: 2 }
batch: { concurrency: 4 }
`
  const env = { ...withKey, OPENAI_ORG_ID: "org", SECOND: "k2" }

  it.effect("is a flag, then a variable, then the file, then the default", () =>
    Effect.gen(function* () {
      const variables = { ...env, FLOODGATE_TIMEOUT: "40s", FLOODGATE_RPM: "50", FLOODGATE_MAX_RETRIES: "" }
      const { domains, loaded, options } = yield* good(file, variables, { rpm: 25, concurrency: "adaptive" })
      expect(domains).toMatchObject({
        a: { requestsPerMinute: 25, tokensPerMinute: 5, concurrency: "adaptive" },
        b: { requestsPerMinute: 25 }
      })
      expect(options.timeout && Duration.toSeconds(options.timeout)).toBe(40)
      expect(loaded.settings.retry?.max_retries).toBe(2)
      expect(loaded.origin(["endpoints", 0, "limits", "rpm"])).toEqual({ kind: "flag", name: "rpm" })
      expect(loaded.origin(["retry", "timeout"])).toEqual({ kind: "env", name: "FLOODGATE_TIMEOUT" })
      expect(loaded.origin(["retry", "max_retries"])).toMatchObject({ kind: "file", line: 8 })
      expect(yield* complaint(file, { ...env, FLOODGATE_RPM: "lots" })).toContain(
        'FLOODGATE_RPM: expected a number greater than 0, not "lots"'
      )
      expect(yield* complaint(file, env, { "cache-mode": "reply" })).toEqual([
        '--cache-mode: expected one of read_write, bypass, refresh, read_only, replay, not "reply"; did you mean "replay"?'
      ])
    })
  )

  it.effect("leaves two accounts two: a provider's variables fill in what an endpoint leaves out", () =>
    Effect.gen(function* () {
      const { endpoints } = yield* good(file, { ...env, OPENAI_BASE_URL: "http://127.0.0.1:9/v1" })
      expect(
        endpoints.map(({ options }) => [
          options.apiKey && Redacted.value(options.apiKey),
          options.baseUrl,
          options.headers
        ])
      ).toEqual([
        ["k2", "http://127.0.0.1:9/v1", {}],
        ["k", "http://127.0.0.1:9/v1", { "openai-organization": "org" }]
      ])
    })
  )

  it.effect("takes a model of weight 0 for none, and weights that are all 0 for a mistake", () =>
    Effect.gen(function* () {
      const text = (model: string) => `endpoints: [{ id: x, provider: openai, model: "${model}" }]`
      const { router } = yield* good(text("mini:0+big:1"))
      expect(router.endpoints.map(({ id }) => id)).toEqual(["x/big"])
      expect(yield* complaint(text("mini:0+big:0"))).toEqual([
        expect.stringContaining('No model can be drawn from "mini:0+big:0": its weights add up to 0')
      ])
    })
  )

  it.effect("needs no variable of an endpoint that is not chosen", () =>
    Effect.gen(function* () {
      const text = `endpoints:
  - { id: a, provider: openai, model: m1, api_key: "\${NOPE}" }
  - { id: b, provider: anthropic, model: m2, api_key: "\${KEY}" }
`
      const env = { KEY: "k" }
      expect(yield* complaint(text, env)).toEqual([expect.stringContaining("the variable NOPE is not set")])
      expect(yield* complaint(text, env, { provider: "openai" })).toHaveLength(1)
      for (const flags of [{ provider: "b" }, { provider: "anthropic" }, { model: "m2" }]) {
        const { endpoints } = yield* good(text, env, flags)
        expect(endpoints.map(({ options }) => options.id)).toEqual(["b"])
      }
      // without one that has the model, all are asked for it
      expect(yield* complaint(text, env, { provider: "openai", model: "m3" })).toHaveLength(1)
    })
  )

  it.effect("reads .env below the environment, and needs no variable of an endpoint that is off", () =>
    Effect.gen(function* () {
      const text = `endpoints:\n  - { provider: openai, model: "\${MODEL}" }\n  - { provider: groq, api_key: "\${NOPE}", limits: { rpm: "\${NOPE}" }, enabled: false }\n`
      const files = { "floodgate.yaml": text, ".env": "OPENAI_API_KEY=of-env\nMODEL=of-env\n" }
      const { endpoints } = yield* configure().pipe(Effect.provide(machine(files, { MODEL: "real" })))
      expect(endpoints.map(({ options }) => [options.model, options.apiKey])).toEqual([
        ["real", Redacted.make("of-env")]
      ])
    })
  )

  it.effect("finds the file that is named, then that of the folder, then that of the home", () =>
    Effect.gen(function* () {
      const name = (id: string) => `endpoints: [{ id: ${id}, provider: openai }]`
      const files: Record<string, string> = {
        "named.yaml": name("named"),
        "env.yaml": name("env"),
        "floodgate.yaml": name("yaml"),
        "floodgate.yml": name("yml"),
        "/home/me/.floodgate/config.yaml": name("home")
      }
      const variables = { ...withKey, HOME: "/home/me", FLOODGATE_CONFIG: "env.yaml" }
      const found = (path: string | undefined, env: Variables) =>
        configure({ path }).pipe(
          Effect.map(({ router }) => router.endpoints[0].id),
          Effect.provide(machine(files, env))
        )
      expect(yield* found("named.yaml", variables)).toBe("named")
      expect(yield* found(undefined, variables)).toBe("env")
      const { FLOODGATE_CONFIG: _, ...unnamed } = variables
      const ids = []
      for (const gone of ["floodgate.yaml", "floodgate.yml", "/home/me/.floodgate/config.yaml"]) {
        ids.push(yield* found(undefined, unnamed))
        delete files[gone]
      }
      expect([...ids, yield* found(undefined, unnamed)]).toEqual([
        "yaml",
        "yml",
        "home",
        "openai/api.openai.com"
      ])
      expect(yield* Effect.flip(found("gone.yaml", unnamed))).toMatchObject({
        message: "there is no file gone.yaml"
      })
    })
  )

  it.effect("chooses among endpoints by provider and model, or makes the one that the environment has", () =>
    Effect.gen(function* () {
      const text =
        "endpoints:\n  - { id: a, provider: openai, model: m }\n  - { id: b, provider: mistral, model: n, api_key: x }\n"
      const ids = (flags: Variables, env?: Variables) =>
        Effect.map(good(text, env, flags), ({ endpoints }) =>
          endpoints.map(({ options }) => [options.id ?? options.provider, options.model])
        )
      expect(yield* ids({ provider: "mistral" })).toEqual([["b", "n"]])
      expect(yield* ids({ model: "m" })).toEqual([["a", "m"]])
      expect(yield* ids({ provider: "openai", model: "o" })).toEqual([["a", "o"]])
      expect(yield* ids({ provider: "groq", model: "o" }, { GROQ_API_KEY: "k" })).toEqual([["groq", "o"]])
      expect(yield* complaint(text, withKey, { model: "mm" })).toEqual([
        '--model: no endpoint has the model "mm"; did you mean "m"?; say whose it is with --provider'
      ])
      expect(yield* complaint(text, withKey, { provider: "opnai" })).toEqual([
        `--provider: no provider "opnai"; did you mean "openai"?; there are ${names.join(", ")}`
      ])
    })
  )
})

describe("secrets", () => {
  const template = (secret: string) => [
    "endpoints:",
    "  - id: a",
    "    provider: openai",
    `    api_key: ${secret}`,
    `    base_url: http://user:${secret}@127.0.0.1:1/v1`,
    "    headers:",
    `      x-token: ${secret}`,
    "    limits: { rpm: 5 }",
    "  - provider: mistral",
    `    api_key: $${"{SECRET}"}`,
    "cache:",
    `  store: redis://:${secret}@127.0.0.1:1`,
    `  ttl: $${"{SECRET}"}`,
    "limiter:",
    `  store: rediss://:${secret}@127.0.0.1:1`
  ]

  it.effect("are in no error and no warning, whatever is wrong with the file", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.stringMatching(/^[A-Za-z0-9]{16,24}$/),
          FastCheck.nat(14),
          FastCheck.constantFrom(
            "",
            "    rmp: 5",
            " - x",
            "{",
            '"',
            "  <<: *a",
            "\t",
            "ttl: soon",
            "- ]",
            "!t x",
            "? a"
          ),
          FastCheck.nat(400),
          (secret, line, noise, cut) =>
            Effect.gen(function* () {
              const lines = template(secret)
              lines[line] = noise
              const text = lines.join("\n").slice(0, cut % 3 === 0 ? cut : undefined)
              const found = yield* read(text, { SECRET: secret })
              const shown = Either.isLeft(found)
                ? [found.left.message, inspect(found.left, { depth: 9 }), JSON.stringify(found.left)]
                : [inspect(found.right.warnings, { depth: 9 })]
              for (const one of shown) expect(one).not.toContain(secret.slice(0, 10))
            }).pipe(Effect.runPromise)
        ),
        { numRuns: 40 }
      )
    )
  )

  it.effect("that stand in the file are warned of", () =>
    Effect.map(good("endpoints:\n  - { provider: openai, api_key: sk-written-down }\n"), ({ warnings }) =>
      expect(warnings.map(({ message }) => message)).toEqual([
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is in the message
        "an API key stands in the file; put it into a variable and write ${OPENAI_API_KEY}"
      ])
    )
  )
})

describe("the registry", () => {
  it.effect("knows each provider by the name it has itself", () =>
    Effect.gen(function* () {
      for (const name of names) {
        const entry = find(name)
        if (entry === undefined) return expect.fail(name)
        const variables = new Map([
          [entry.key ?? "", "k"],
          [entry.place ?? "", "https://x.example"]
        ])
        const { config } = yield* entry.load
        const endpoint = yield* Effect.withConfigProvider(config, ConfigProvider.fromMap(variables))
        expect(endpoint.provider).toBe(name)
      }
    })
  )
})

describe("for editors", () => {
  it("there is a JSON Schema, made of what files are read by", () => {
    const file = new URL("../floodgate.schema.json", import.meta.url)
    const made = JSON.parse(JSON.stringify(jsonSchema()))
    if (process.env.FLOODGATE_WRITE_SCHEMA === "1")
      writeFileSync(file, `${JSON.stringify(made, undefined, 2)}\n`)
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(made)
    expect(made.$defs.FloodgateConfig.properties.endpoints.description).toMatch(/Where requests go/)
  })
})

describe("in a program", () => {
  it.scopedLive("a file is all that a batch needs", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "floodgate-config-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const first = yield* Simulator.make({ apiKey: "key-1" })
      const second = yield* Simulator.make({ apiKey: "key-2" })
      const path = join(folder, "floodgate.yaml")
      writeFileSync(
        path,
        `
endpoints:
  - id: one
    provider: openai
    base_url: ${first.url}
    model: sim-1
    api_key: \${KEY_1}
    limits: { rpm: 60000, concurrency: 3 }
  - id: two
    provider: anthropic
    base_url: ${second.urls.anthropic}
    model: sim-1
    api_key: { env: KEY_2 }
    weight: 3
    limits: { rpm: 30000 }
tasks:
  label: { system: One word., parameters: { max_tokens: 100 } }
cache: { store: answers.db }
batch: { concurrency: 8, task: label }
`
      )
      const requests = Array.from({ length: 80 }, (_, n) => Chat.prompt(`Question ${n}`))
      const run = Effect.gen(function* () {
        const { file, options } = yield* ConfigFile.Settings
        const limiter = yield* RateLimiter.RateLimiter
        const outcomes = yield* batch(requests, options)
        return { file, outcomes, limits: (yield* limiter.state("one")).limits }
      }).pipe(
        Effect.provide(layerConfigFile(path)),
        Effect.withConfigProvider(
          ConfigProvider.fromMap(
            new Map([
              ["KEY_1", "key-1"],
              ["KEY_2", "key-2"]
            ])
          )
        )
      )
      const { file, limits, outcomes } = yield* run
      expect(file).toBe(path)
      expect(outcomes.every(Either.isRight)).toBe(true)
      expect(limits).toMatchObject({ requestsPerMinute: 60_000, concurrency: 3 })
      const [a, b] = [yield* first.stats, yield* second.stats]
      expect(a.requests + b.requests).toBe(80)
      expect(b.requests).toBeGreaterThan(a.requests)
      // beside the file, and found again
      const again = yield* run
      expect(
        again.outcomes.filter((outcome) => Either.isRight(outcome) && outcome.right.meta.cached)
      ).toHaveLength(80)
      expect(readFileSync(join(folder, "answers.db")).length).toBeGreaterThan(0)
    })
  )
})
