import { provideFileRouter } from '@analogjs/router'
import { provideHttpClient, withFetch } from '@angular/common/http'
import { type ApplicationConfig, provideZonelessChangeDetection } from '@angular/core'
import { provideClientHydration } from '@angular/platform-browser'

export const appConfig: ApplicationConfig = {
  providers: [provideZonelessChangeDetection(), provideFileRouter(), provideHttpClient(withFetch()), provideClientHydration()],
}
