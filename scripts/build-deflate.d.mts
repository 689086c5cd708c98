export function buildDeflate(options?: { bundle?: string }): Promise<void>
export function setup(): Promise<void>
