/** What is wrong with the settings, as an error of the command line. */
import { type ConfigFileError, format, placeOf } from "../internal/configProblem.js"
import { CliError } from "./CliError.js"

export const configError = (error: ConfigFileError): CliError => {
  const { problems } = error
  const lines = problems.map(format)
  return new CliError({
    message: lines.length === 1 ? error.message : `the settings cannot be used\n  ${lines.join("\n  ")}`,
    // without a place they say no more than the message
    faults: problems
      .filter(({ origin, path }) => path !== "" || placeOf(origin) !== "")
      .map(({ message, origin, path }) => ({ place: placeOf(origin), path, message }))
  })
}
