export const load = () => ({ version: process.version })
