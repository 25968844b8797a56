// @ts-check
/**
 * The interactive API documentation: Swagger UI over our own document. "Try it out" acts as who is
 * signed in to the pages, or with a token.
 */

const place = /** @type {HTMLElement} */ (document.getElementById("docs"));
const dark = matchMedia("(prefers-color-scheme: dark)");

const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

/** @param {{url: string, headers: Record<string, string>}} request */
function withCsrfToken(request) {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  const ours = new URL(request.url, location.href).origin === location.origin;
  if (token && ours) request.headers["X-CSRFToken"] = token;
  return request;
}

// @ts-ignore - from the bundle before this script
SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null, // would ask a site elsewhere
  requestInterceptor: withCsrfToken,
});
