export interface Batch {
  readonly write: (text: string) => void
  /** Passes on the collected text. */
  readonly flush: () => void
}

/** Characters. A pipe holds 64 KiB. */
const most = 64 * 1024

/**
 * Joins texts that are written one after another into one write: when a build prints millions of lines, a system call for each
 * line takes most of the time. Passes everything on when the running callback ends, so memory stays bounded (X42).
 */
export function batch(pass: (text: string) => void): Batch {
  let held: string[] = []
  let size = 0
  const flush = (): void => {
    if (size === 0) return
    const text = held.join('')
    held = []
    size = 0
    pass(text)
  }
  return {
    write(text) {
      if (size === 0) queueMicrotask(flush)
      held.push(text)
      size += text.length
      if (size >= most) flush()
    },
    flush,
  }
}
