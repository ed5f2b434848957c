/** Builds the package once before the tests: those that start processes run what is shipped. */
import { execFileSync } from "node:child_process"

export default function setup(): void {
  if (process.env["FLOODGATE_TEST_NO_BUILD"] !== undefined) return
  execFileSync("npm", ["run", "-s", "compile"], { stdio: "inherit" })
}
