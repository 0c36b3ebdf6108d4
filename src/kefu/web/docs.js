// Shows /openapi.json with Swagger UI, which the server brings along: works offline.
addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true });
});
