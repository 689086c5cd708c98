export default {
  fetch(request: Request): Response {
    return new Response(`served by Deno: ${new URL(request.url).pathname}`)
  },
} satisfies Deno.ServeDefaultExport
