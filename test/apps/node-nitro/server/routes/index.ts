export default defineEventHandler(() => ({ by: 'Nitro' }))
