//! `/movies`

use serde_json::json;

use crate::{data, get_json, get_problem};

const CREED: &str = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6";
const FRANKENSTEIN: &str = "7daf7208-be4d-4944-a3ae-c1c2f516f3e6";

#[test]
fn all_movies_are_listed_by_id() {
    let movies = get_json("/movies");
    assert_eq!(movies, data("cinema/movies.json"));
    assert_eq!(
        movies[CREED],
        json!({"id": CREED, "title": "Creed", "director": "Ryan Coogler", "rating": 8.8})
    );
    assert_eq!(
        movies[FRANKENSTEIN],
        json!({
            "id": FRANKENSTEIN,
            "title": "Victor Frankenstein",
            "director": "Paul McGuigan",
            "rating": 6.4
        })
    );
}

#[test]
fn a_single_movie_includes_its_uri() {
    let uri = format!("/movies/{CREED}");
    assert_eq!(
        get_json(&uri),
        json!({
            "id": CREED,
            "title": "Creed",
            "director": "Ryan Coogler",
            "rating": 8.8,
            "uri": uri
        })
    );
}

#[test]
fn an_unknown_movie_is_404() {
    let detail = get_problem("/movies/no-such-movie", 404);
    assert!(detail.contains("`no-such-movie`"), "{detail}");
}

#[test]
fn movies_can_be_selected_by_id_and_unknown_ids_are_left_out() {
    let movies =
        get_json(&format!("/movies?id={CREED}&id=no-such-movie&id={FRANKENSTEIN}&id={CREED}"));
    let all = data("cinema/movies.json");
    assert_eq!(movies, json!({CREED: all[CREED], FRANKENSTEIN: all[FRANKENSTEIN]}));
    assert_eq!(get_json("/movies?id=no-such-movie"), json!({}));
}

#[test]
fn at_most_100_movies_can_be_selected() {
    let path = |ids: usize| format!("/movies?{}", vec![format!("id={CREED}"); ids].join("&"));
    assert_eq!(get_json(&path(100)).as_object().unwrap().len(), 1);
    let detail = get_problem(&path(101), 400);
    assert!(detail.contains("`id`") && detail.contains("at most 100"), "{detail}");
}

#[test]
fn top_movies_are_sorted_by_rating_then_title_then_id() {
    let mut movies: Vec<_> =
        data("cinema/movies.json").as_object().unwrap().clone().into_iter().collect();
    movies.sort_by_key(|(id, movie)| {
        let rating = movie["rating"].as_f64().unwrap();
        (-(rating * 100.0) as i64, movie["title"].as_str().unwrap().to_owned(), id.clone())
    });
    let ranked: Vec<_> = movies
        .into_iter()
        .map(|(id, mut movie)| {
            movie["uri"] = format!("/movies/{id}").into();
            movie
        })
        .collect();
    let top = |query: &str| get_json(&format!("/movies/top{query}")).as_array().unwrap().clone();
    assert_eq!(top("?limit=100"), ranked);
    assert_eq!(top(""), ranked[..3]);
    assert_eq!(top("?limit=5"), ranked[..5]);
    assert_eq!(top("?limit=2&offset=4"), ranked[4..6]);
    for offset in ["1000000", "4294967296", "99999999999999999999"] {
        assert!(top(&format!("?offset={offset}")).is_empty(), "{offset}");
    }
    assert!(
        ranked.windows(2).any(|pair| pair[0]["rating"] == pair[1]["rating"]),
        "the data must have equal ratings for this test to see their order"
    );
}

#[test]
fn a_malformed_limit_or_offset_is_400_and_named() {
    for query in ["limit=0", "limit=201", "limit=ten", "limit=", "limit=3&limit=4", "limit=-1"] {
        let detail = get_problem(&format!("/movies/top?{query}"), 400);
        assert!(detail.contains("`limit`"), "{query}: {detail}");
    }
    for query in ["offset=-1", "offset=x", "offset=1.5"] {
        let detail = get_problem(&format!("/movies/top?{query}"), 400);
        assert!(detail.contains("`offset`"), "{query}: {detail}");
    }
}

#[test]
fn unknown_query_parameters_are_ignored() {
    assert_eq!(get_json("/movies?limit=x"), get_json("/movies"));
    assert_eq!(get_json("/movies/top?page=2"), get_json("/movies/top"));
}
