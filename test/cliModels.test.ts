import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { reach } from "../src/cli/endpoints.js"
import { configure } from "../src/internal/configServices.js"
import { list } from "../src/internal/modelList.js"
import * as Simulator from "../src/Simulator.js"
import { type Finished, type Folder, folder, run } from "./process.js"

const addresses = {
  openai: "/v1",
  anthropic: "",
  gemini: "/v1beta",
  mistral: "/mistral/v1",
  cohere: "/cohere/v2"
} as const

const fileOf = (files: Folder, endpoints: ReadonlyArray<object>, more = "") =>
  files.write("floodgate.yaml", `endpoints: ${JSON.stringify(endpoints)}\n${more}`)

const json = ({ stdout }: Finished) => JSON.parse(stdout)

describe("floodgate models", () => {
  it.scopedLive("reads the list of every API", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const models = ["m-1", "m-2"]
      const simulator = yield* Simulator.make({ models })
      const origin = new URL(simulator.url).origin
      const endpoints = Object.entries(addresses).map(([provider, path]) => ({
        id: provider,
        provider,
        base_url: `${origin}${path}`,
        api_key: "any-key"
      }))
      const configured = yield* Effect.provide(
        configure({ path: fileOf(files, endpoints) }).pipe(
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
        ),
        NodeContext.layer
      )
      const { providers } = yield* reach(configured)
      for (const endpoint of configured.router.endpoints) {
        const provider = providers.get(endpoint.provider)
        if (provider === undefined) throw new Error(endpoint.provider)
        const found = yield* list(provider, endpoint, 10_000)
        expect([endpoint.id, ...found.map(({ id }) => id)]).toEqual([endpoint.id, ...models])
      }
      expect((yield* simulator.stats).cost).toBe(0)
    })
  )

  it.scopedLive("tells context and prices, as a table and as JSON", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({ models: ["gpt-4o-mini", "mine"] })
      const options = { url: simulator.url, cwd: files.path(".") }
      const shown = yield* run(["models"], options)
      expect(shown).toMatchObject({ code: 0, stderr: "" })
      expect(
        shown.stdout
          .split("\n")
          .slice(0, 3)
          .map((line) => line.split(/ {2,}/))
      ).toEqual([
        ["MODEL", "CONTEXT", "INPUT", "OUTPUT"],
        ["gpt-4o-mini", "128,000", "$0.15", "$0.60"],
        ["mine", "-", "-", "-"]
      ])
      const told = yield* run(["models", "--json"], options)
      expect(json(told)[0].models).toEqual([
        { id: "gpt-4o-mini", contextWindow: 128_000, price: { input: 0.15, output: 0.6 } },
        { id: "mine", contextWindow: null, price: null }
      ])
    })
  )
})

describe("floodgate test", () => {
  it.scopedLive("says of each endpoint whether it works, and what to do where it does not", () =>
    Effect.gen(function* () {
      const files = yield* folder
      const simulator = yield* Simulator.make({
        models: ["gpt-5-mini", "claude-haiku-4-5"],
        apiKey: "good",
        limits: { rpm: 600 }
      })
      const origin = new URL(simulator.url).origin
      const at = { provider: "openai", base_url: simulator.url, model: "gpt-5-mini", api_key: "good" }
      fileOf(files, [
        { ...at, id: "good" },
        { ...at, id: "claude", provider: "anthropic", base_url: origin, model: "claude-haiku-4-5" },
        { ...at, id: "locked", api_key: "$" + "{OTHER_KEY}" },
        { ...at, id: "slip", model: "gpt-5-mni" },
        { ...at, id: "away", base_url: "http://127.0.0.1:9/v1" }
      ])
      const env = { OTHER_KEY: "a-wrong-key" }
      const shown = yield* run(["test"], { cwd: files.path("."), env })
      expect(shown).toMatchObject({ code: 1, stderr: "" })
      const lines = Object.fromEntries(
        shown.stdout
          .trim()
          .split("\n")
          .map((line) => [/^[✓✗] (\w+)/.exec(line)?.[1], line])
      )
      expect(lines).toEqual({
        good: expect.stringMatching(/^✓ .* answers in \d+ ms; the server allows 600 requests a minute$/),
        claude: expect.stringMatching(/^✓ claude .* answers in \d+ ms/),
        locked: expect.stringMatching(/^✗ locked .*Set OTHER_KEY to a key that OpenAI knows$/),
        slip: expect.stringMatching(
          /^✗ slip .*Did you mean gpt-5-mini\? floodgate models lists what there is$/
        ),
        away: expect.stringMatching(
          /^✗ away .*Check the base URL http:\/\/127\.0\.0\.1:9\/v1 and the network$/
        )
      })
      expect(shown.stdout).not.toContain("a-wrong-key")
      const told = yield* run(["test", "--provider", "good", "--json"], { cwd: files.path("."), env })
      expect(told).toMatchObject({ code: 0, stderr: "" })
      expect(json(told)).toMatchObject([{ endpoint: "good", ok: true, limits: ["600 requests a minute"] }])
    })
  )
})
