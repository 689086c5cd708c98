import type { ListeningRules } from '../sdk/listening.ts'

/** net/http, net, and the frameworks whose applications listen by a method of their own: Gin, Echo, Fiber. */
export const goListening: ListeningRules = {
  ending: '.go',
  calls: [
    /\bListenAndServe(?:TLS)?\((?!\))\s*(?:"(?<address>[^"]*:\d+)")?/g,
    /\bhttp\.Server\{[^{}]*?\bAddr:\s*(?:"(?<address>[^"]*:\d+)")?/g,
    /\bnet\.Listen\(\s*"tcp[46]?",\s*(?:"(?<address>[^"]*:\d+)")?/g,
    /\.(?:Start|Run|Listen)\(\s*(?:"(?<address>[^"]*:\d+)"|\))/g,
  ],
  reads: 'as in ":" + os.Getenv("PORT")',
}
