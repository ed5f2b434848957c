import { appendFileSync } from "node:fs"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, plainAnswer, run, serve } from "./process.js"

it.scopedLive(
  "an input that was edited asks for what is new alone, and keeps each answer with its line",
  () =>
    Effect.gen(function* () {
      const files = yield* folder
      let isWell = false
      const server = yield* serve((body, response, request) => {
        if (isWell || body.messages[0]?.content !== "broken") return plainAnswer(body, response, request)
        response.writeHead(400).end("{}")
      })
      const command = (...more: ReadonlyArray<string>) =>
        run(
          [
            ...["batch", files.path("in"), "-o", files.path("out"), "--cache", "off", "--no-progress"],
            ...["--receipt", files.path("receipt"), ...more]
          ],
          { url: server.url }
        )
      const said = () =>
        files.lines("out").map(({ custom_id: id, index, response }) => [index, id, response?.text])

      files.records("in", [
        { custom_id: "a", prompt: "one" },
        { custom_id: "b", prompt: "same" },
        { custom_id: "c", prompt: "same" },
        { custom_id: "d", prompt: "gone" },
        { custom_id: "e", prompt: "broken" },
        { custom_id: "f", prompt: "last", row: 1 }
      ])
      expect((yield* command()).code).toBe(1)
      expect(server.requests()).toBe(6)

      isWell = true
      files.records("in", [
        { custom_id: "f", prompt: "last", row: 2 },
        { custom_id: "new", prompt: "inserted" },
        { custom_id: "e", prompt: "broken" },
        { custom_id: "b", prompt: "same" },
        { custom_id: "c2", prompt: "same" },
        { custom_id: "g", prompt: "same" },
        { custom_id: "a", prompt: "one" }
      ])
      const before = files.bytes("out")
      appendFileSync(files.path("in"), "no JSON\n")
      expect(yield* command()).toMatchObject({ code: 2, stderr: expect.stringContaining("line 8: not JSON") })
      expect(files.bytes("out")).toEqual(before)
      expect(files.names()).toEqual(["in", "out", "receipt"])

      files.write("in", files.bytes("in").subarray(0, -"no JSON\n".length))
      expect((yield* command()).code).toBe(0)
      expect(server.requests()).toBe(6 + 3)
      expect(files.json("receipt")).toMatchObject({ requests: 7, succeeded: 7, resumed: 4, attempts: 3 })
      expect(said()).toEqual([
        [0, "f", "LAST"],
        [1, "new", "INSERTED"],
        [2, "e", "BROKEN"],
        [3, "b", "SAME"],
        [4, "c2", "SAME"],
        [5, "g", "SAME"],
        [6, "a", "ONE"]
      ])
      expect(files.lines("out")[0]).toMatchObject({ metadata: { row: 2 } })
      expect(files.lines("out.superseded.jsonl")).toMatchObject([{ custom_id: "d" }])

      // each line is sample 0 of itself now, which says so, and asks for sample 1
      expect((yield* command("--samples", "2")).code).toBe(0)
      expect(server.requests()).toBe(9 + 7)
      expect(files.json("receipt")).toMatchObject({ requests: 14, resumed: 7, attempts: 7 })
      const samples = files
        .lines("out")
        .map((line) => [line.index, line.custom_id, "sample" in line && line.sample])
      expect(samples).toEqual(
        ["f", "new", "e", "b", "c2", "g", "a"].flatMap((id, n) => [
          [2 * n, id, 0],
          [2 * n + 1, id, 1]
        ])
      )
      const after = files.bytes("out")
      expect((yield* command("--samples", "2")).code).toBe(0)
      expect(files.bytes("out")).toEqual(after)
      expect(server.requests()).toBe(16)
    })
)
