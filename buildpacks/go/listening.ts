import { type ListeningRules, slashComment } from '../sdk/listening.ts'

const literal = String.raw`(?:"(?<address>[^"]*:\d+)"(?=\s*[,)}\n]))?`
const methods = String.raw`(?<!\bnet)\.(?:Start|Run|Listen)(?:AutoTLS|H2CServer|Listener|Server|TLS)?\(`

/** Calls of net/http and net. A server whose type does not contain the address gets it elsewhere. */
const library = [
  new RegExp(String.raw`\bListenAndServe(?:TLS)?\((?!\s*\))\s*${literal}`, 'g'),
  new RegExp(String.raw`\bhttp\.Server\{(?:[^{}]*?\bAddr:\s*${literal})?`, 'g'),
  /\bnew\(http\.Server\)|\bvar\s+\w+\s+\*?http\.Server\b/g,
  new RegExp(String.raw`\bnet\.Listen\(\s*(?!"unix)(?:"tcp[46]?",\s*${literal})?`, 'g'),
]
const otherServer = /\bListenAndServe(?:TLS)?\(\s*\)/g

/** Frameworks whose applications listen with a method. Other types have methods with the same names. */
const frameworks = /"github\.com\/(?:gin-gonic\/gin|labstack\/echo|gofiber\/fiber)\b/
const frameworkCall = new RegExp(`${methods}\\s*${literal}`, 'g')
const anyCall = new RegExp(methods, 'g')

export const goListening: ListeningRules = {
  ending: '.go',
  comment: slashComment,
  calls: source => [
    ...library,
    ...(source.includes('http.Server{') ? [] : [otherServer]),
    frameworks.test(source) ? frameworkCall : anyCall,
  ],
  reads: 'as in ":" + os.Getenv("PORT")',
}
