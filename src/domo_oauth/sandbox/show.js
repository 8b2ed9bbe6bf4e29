if (!location.hash) history.replaceState(null, "", "#/operations/getAccessToken");
const reference = document.createElement("elements-api");
reference.setAttribute("router", "hash");
reference.setAttribute("layout", "responsive");
reference.setAttribute("tryItCredentialsPolicy", "omit"); // or the browser asks for a password after a wrong secret
reference.apiDescriptionDocument = text;
document.querySelector("main").append(reference);
