/** Why a file cannot be read or written, in words. */

const words: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EACCES: "permission denied",
  EPERM: "the system does not permit it",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is a file and no folder",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENAMETOOLONG: "the name is too long",
  EMFILE: "too many files are open"
}

/** The system's own word for it, such as `ENOSPC`, of its error or of one that was made of it. */
const codeOf = (error: Error): string | undefined =>
  "code" in error && typeof error.code === "string"
    ? error.code
    : error.cause instanceof Error
      ? codeOf(error.cause)
      : undefined

/** Why a file cannot be read. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const code = codeOf(error)
  return (code === undefined ? undefined : words[code]) ?? error.message
}

/** Why a file cannot be written: what is not there then is its folder. */
export const writeReasonOf = (error: unknown): string =>
  error instanceof Error && codeOf(error) === "ENOENT" ? "there is no such folder" : reasonOf(error)
