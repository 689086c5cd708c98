export interface Batch {
  readonly write: (text: string) => void
  /** Passes on what is held. */
  readonly flush: () => void
}

/** Characters. A pipe holds 64 KiB. */
const most = 64 * 1024

/**
 * Puts texts that are written one after another into one write: a system call for each line is what most of the time goes into
 * when a build prints millions. Nothing is held once the running callback ends, so memory stays bounded (X42).
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
