// Shows the OpenAPI document with Swagger UI, which may ask nobody but this service.

/* global SwaggerUIBundle */
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
