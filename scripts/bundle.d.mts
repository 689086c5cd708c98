export function bundlePhases(out: string, options?: { precompiled?: boolean }): Promise<string[]>
export function bundle(): Promise<string[]>

/** Builds the programs in C that phases and sandboxes start. @param arch amd64 or arm64 */
export function buildHelpers(arch: string, out: string): void
