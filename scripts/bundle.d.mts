export function bundlePhases(out: string, options?: { precompiled?: boolean }): Promise<string[]>
export function bundle(): Promise<string[]>
